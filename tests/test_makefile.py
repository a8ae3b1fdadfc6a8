"""`make` with an interpreter that only writes down its calls: nothing is installed twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = (
    *("Makefile", "requirements.txt", "requirements-dev.txt", "requirements.lock"),
    *("pyproject.toml", "setup.py"),
)
PYTHON = """#!/bin/sh
echo "$@" >> calls.txt
if test "$2" = venv; then mkdir -p "$3/bin"; for tool in python ruff mypy nvflare fedvox; do
  cp "$0" "$3/bin/$tool"; done; fi
"""


@pytest.fixture
def make(tmp_path):
    """A function from targets to what the interpreter and its tools were asked."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}

    def run(*targets: str) -> list[str]:
        (tmp_path / "calls.txt").write_text("")
        command = ["make", f"PYTHON={python}", *targets]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        return (tmp_path / "calls.txt").read_text().splitlines()

    return run


def installed(calls: list[str]) -> list[str]:
    return [call.split()[-1] for call in calls if " install " in call]


def test_only_those_who_test_install_the_linters_and_nothing_is_installed_twice(make):
    assert installed(make("poc")) == ["requirements.txt"]
    assert installed(make("poc")) == []
    assert installed(make("unit")) == ["requirements-dev.txt"]
    assert installed(make("unit")) == installed(make("lint", "poc")) == []


def test_a_first_test_installs_once_for_everything(make):
    assert installed(make("lint")) == ["requirements-dev.txt"]
    assert installed(make("lint", "poc", "unit")) == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements.lock", "pyproject.toml"])
def test_changed_requirements_are_installed(make, tmp_path, name):
    make("unit")
    later = (tmp_path / ".venv/.ready-dev").stat().st_mtime + 10
    os.utime(tmp_path / name, (later, later))
    assert installed(make("unit")) == ["requirements-dev.txt"]


@pytest.mark.parametrize("target", ["poc", "unit"])
def test_the_locked_versions_are_installed(make, tmp_path, target):
    (call,) = [call for call in make(target) if "pip" in call and " install " in call]
    assert " -c .venv/versions.txt " in call
    versions = (tmp_path / ".venv/versions.txt").read_text().splitlines()
    assert {"torch==2.13.0", "pyjwt==2.15.1"} < set(versions)  # one of the two a dependency's
    locked = (ROOT / "requirements.lock").read_text().splitlines()
    assert len(versions) == sum("==" in line for line in locked)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock"])
def test_a_wheelhouse_is_downloaded_by_hashes_and_holds_the_package(make, lock):
    download, wheel = make("wheelhouse", f"LOCK={lock}", "CPU_WHEELS=wheels")[-2:]
    assert " --require-hashes --find-links wheels --dest runs/wheelhouse " in download
    assert download.endswith(f" -r {lock}")
    assert wheel.endswith(" wheel --no-deps --wheel-dir runs/wheelhouse .")


def test_help_prints_every_target_of_the_head_and_nothing_below_it():
    printed = subprocess.check_output(["make", "-s", "help"], cwd=ROOT, text=True)
    head = (ROOT / "Makefile").read_text().partition("\nPYTHON")[0]
    assert printed.splitlines() == [line[2:] for line in head.splitlines()]
