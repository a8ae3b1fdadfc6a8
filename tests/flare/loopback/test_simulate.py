"""Runs under the simulator from Python, without FLARE; tests/jobs runs whole jobs."""

import json
import sys
from pathlib import Path

import pytest

from fedvox.data.site.site_file import SiteSettings, read_site_file
from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.loopback import simulate as module
from fedvox.flare.loopback.simulate import simulate

PLACE = "run/server/simulate_job/fedvox"


@pytest.fixture
def calls(monkeypatch):
    """What would have been started: command, folder, environment. The run itself ends well."""
    made = []

    def run(command, folder, environment, tell):
        made.append((command, folder, environment))
        return 0

    monkeypatch.setattr(module, "_run", run)
    return made


@pytest.fixture
def site(tmp_path):
    (tmp_path / "data").mkdir()
    return SiteSettings("plain", str(tmp_path / "data"), ("ct",), split="test", workers=2)


def test_each_site_reads_the_file_that_was_written_for_it(calls, site, tmp_path):
    found = simulate(tmp_path / "job", {"a": site, "B-2": site}, tmp_path / "w", threads=1)
    assert found == tmp_path / "w" / PLACE
    ((command, folder, environment),) = calls
    assert command[command.index("-c") + 1] == "a,B-2" and command[command.index("-t") + 1] == "1"
    for name in ("a", "B-2"):
        path = Path(environment["FEDVOX_SITE"].replace("{site}", name))
        assert read_site_file(path) == site
        assert folder in path.parents


def test_a_number_of_sites_takes_phantoms_whatever_the_environment_says(
    calls, tmp_path, monkeypatch
):
    monkeypatch.setenv("FEDVOX_SITE", "/patients/{site}.json")
    simulate(tmp_path / "job", 3, tmp_path / "w")
    ((command, _, environment),) = calls
    assert command[command.index("-c") + 1] == "site-1,site-2,site-3"
    assert "FEDVOX_SITE" not in environment


@pytest.mark.parametrize("sites", [0, {}])
def test_no_site_is_no_run(calls, tmp_path, sites):
    with pytest.raises(ConfigError, match="a run needs a site"):
        simulate(tmp_path / "job", sites, tmp_path / "w")
    assert calls == []


def test_a_name_that_tables_use_is_refused(calls, site, tmp_path):
    with pytest.raises(ConfigError, match="'global_best' means something else"):
        simulate(tmp_path / "job", {"global_best": site}, tmp_path / "w")


def test_a_failed_run_gives_its_own_reason(calls, tmp_path):
    (tmp_path / "w" / PLACE).mkdir(parents=True)
    failure = {"stage": "start", "round": None, "sites": [], "reason": "no site trains: a"}
    (tmp_path / "w" / PLACE / "failure.json").write_text(json.dumps(failure))
    with pytest.raises(FedVoxError, match=r"the run failed \(start\): no site trains: a"):
        simulate(tmp_path / "job", 1, tmp_path / "w")


def test_lines_are_told_as_they_come_and_a_code_without_a_reason_is_an_error(tmp_path, monkeypatch):
    script = tmp_path / "nvflare_stand_in.py"
    script.write_text("import sys; print('one'); print('two', file=sys.stderr); sys.exit(2)")
    run, lines = module._run, []
    monkeypatch.setattr(
        module, "_run", lambda command, *rest: run([sys.executable, str(script)], *rest)
    )
    with pytest.raises(FedVoxError, match="ended with code 2"):
        simulate(tmp_path / "job", 1, tmp_path / "w", tell=lines.append)
    assert sorted(lines) == ["one", "two"]
