from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from fedvox.data.site.site_data import SiteData, open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.job.settings import JobSettings, job_from

TINY = {
    "name": "tiny",
    "data": {"organs": ["liver", "spleen"], "spacing": [12.0] * 3, "patch": [16, 16, 16]},
    "network": {"channels": [4, 8], "residual_units": 0},
    "training": {"rounds": 2, "steps": 2, "batch": 2, "threads": 1, "device": "cpu"},
    "evaluation": {"resamples": 20, "overlays": 1},
}
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def make_job() -> Callable[..., JobSettings]:
    """A function from changed sections to a job that trains in a fraction of a second."""

    def make(**sections: dict[str, object]) -> JobSettings:
        return job_from(TINY | {name: TINY.get(name, {}) | new for name, new in sections.items()})

    return make


@pytest.fixture(scope="session")
def job(make_job) -> JobSettings:
    return make_job()


@pytest.fixture(scope="session")
def open_phantom(phantom_site, tmp_path_factory, job) -> Callable[..., SiteData]:
    """A function that opens the phantom site of a modality."""
    states = tmp_path_factory.mktemp("site-states")

    def opened(modality: str, name: str, share: str = "cases") -> SiteData:
        settings = SiteSettings(
            dataset="phantom",
            root=str(phantom_site(modality)),
            modalities=(modality,),
            split="dataset",
            share=share,
        )
        return open_site(name, settings, job.data, states / name)

    return opened


@pytest.fixture(scope="session")
def sites(open_phantom) -> Sequence[SiteData]:
    """One CT and one MRI site."""
    return [open_phantom("ct", "site-1"), open_phantom("mr", "site-2")]


@pytest.fixture
def cpu() -> torch.device:
    return CPU


@pytest.fixture
def state(tmp_path) -> Path:
    return tmp_path / "state"
