"""Shared by the tests of whole jobs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedvox.data.site.site_data import SiteData, open_site
from fedvox.flare.run.site_setup import phantom_site
from fedvox.job.settings import JobSettings

SITES = ("site-1", "site-2")


@pytest.fixture
def phantom_sites(tmp_path: Path) -> Callable[[JobSettings], list[SiteData]]:
    """A function from a job to the sites that a simulator makes of it, opened in this process.

    The states of a run with the folder ``tmp_path / "run"`` lie beside their data.
    """

    def opened(job: JobSettings, names: tuple[str, ...] = SITES) -> list[SiteData]:
        sites = []
        for name in names:
            settings = phantom_site(name, job.phantom, tmp_path / name / "phantom")
            sites.append(open_site(name, settings, job.data, tmp_path / name))
        return sites

    return opened


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where :func:`recorded` keeps what messages hold."""
    return tmp_path_factory.mktemp("wire")


@pytest.fixture(scope="module")
def recorded(wire: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, int], Path]:
    """A function that simulates a job, notes what its messages hold, and gives the run's folder."""

    def run(job: Path, sites: int) -> Path:
        work, count = tmp_path_factory.mktemp("work"), str(sites)
        command = ("-m", "nvflare.cli", "simulator", str(job), "-w", str(work))
        paths = (str(Path(__file__).parent / "wire"), os.environ.get("PYTHONPATH", ""))
        found = subprocess.run(
            [sys.executable, *command, "-n", count, "-t", count],
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "WIRE": str(wire)},
            cwd=work.parent,
        )
        assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
        return work

    return run
