"""`make secure-run` that is interrupted, or that cannot start, leaves no process."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from fedvox.flare.loopback.kits import provision

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory, project) -> list[str]:
    """Arguments that name a project file and its kits."""
    work = tmp_path_factory.mktemp("kits")
    found = project()
    provision(found, work)
    return ["--project", str(work / "project.yml"), "--kits", str(work)]


@pytest.fixture
def start(start_script):
    def run(out: Path, built: list[str], overrides: list[str]) -> "subprocess.Popen[str]":
        changes = [word for change in overrides for word in ("--set", change)]
        words = ["--via", "api", *built, *changes, "--out", os.path.relpath(out, ROOT)]
        return start_script("provisioning/secure_run.py", *words)

    return run


def test_nothing_is_left_of_an_interrupted_run(
    tmp_path, built, tiny_overrides, stop_in_the_middle, start
):
    """As by Ctrl-C; a killed one: ``tests/poc/test_dry_run.py``, both by one guard."""
    run = start(tmp_path / "secure", built, tiny_overrides)
    stop_in_the_middle(run, tmp_path, signal.SIGINT)


def test_a_server_that_dies_at_its_start_gives_its_reason(
    tmp_path, built, tiny_overrides, left_over, start
):
    """The kit of the server was changed after it was sealed."""
    kits = Path(built[3])
    broken = tmp_path / "kits"
    subprocess.run(["cp", "-r", str(kits), str(broken)], check=True)
    path = broken / "fedvox/prod_00/localhost/startup/fed_server.json"
    path.write_text(path.read_text() + " ")
    run = start(tmp_path / "secure", [*built[:3], str(broken)], tiny_overrides)
    output, _ = run.communicate(timeout=1800)
    assert run.returncode == 1, output
    assert "startup/fed_server.json: changed" in output.strip().splitlines()[-1]
    assert left_over(tmp_path) == []


def test_a_taken_port_is_named_before_anything_starts(tmp_path, built, tiny_overrides, start):
    import socket

    project = yaml.safe_load(Path(built[1]).read_text())
    server = next(p for p in project["participants"] if p["type"] == "server")
    kept = tmp_path / ".work/secure/kits"
    kept.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", server["fed_learn_port"])):
        run = start(tmp_path / "secure", built, tiny_overrides)
        output, _ = run.communicate(timeout=1800)
    assert run.returncode == 1
    assert f"port {server['fed_learn_port']} (fed_learn_port) is in use" in output
    assert kept.is_dir()
