"""Shared by the tests of whole jobs."""

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
