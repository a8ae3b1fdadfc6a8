"""Sites that hold different sets of one job's modalities."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from channel_site import CHANNELS, TUMOUR

from fedvox.data.site.site_data import SiteData, open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.job.settings import JobSettings, job_from

MODAL: dict[str, Any] = {
    "name": "modal",
    "data": {
        "organs": TUMOUR,
        "modalities": CHANNELS,
        "channels": CHANNELS,
        "missing_channels": True,
        "spacing": [2.0] * 3,
        "patch": [16, 16, 16],
    },
    "network": {"name": "mixmodal", "channels": [4, 8], "fewest_cases": 1},
    "training": {"rounds": 2, "steps": 2, "batch": 2, "device": "cpu", "modality_dropout": 0.5},
    "evaluation": {"overlays": 1},
}
SPLIT = (
    '{"train": ["BraTS2021_00000", "BraTS2021_00001"], "val": ["BraTS2021_00002"], '
    '"test": ["BraTS2021_00003"]}'
)


def modal_job_of(**sections: dict[str, Any]) -> JobSettings:
    """The job with changed sections."""
    changed = {name: {**MODAL.get(name, {}), **new} for name, new in sections.items()}
    if sections.get("network", {}).get("name", "mixmodal") != "mixmodal":
        changed["network"] = dict(sections["network"])
    return job_from(MODAL | changed)


@pytest.fixture(scope="session")
def make_modal_job() -> Callable[..., JobSettings]:
    """A function from changed sections to a job of a network ``mixmodal``."""
    return modal_job_of


@pytest.fixture(scope="session")
def modal_job() -> JobSettings:
    return modal_job_of()


@pytest.fixture(scope="session")
def modal_sites(brats_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequence[SiteData]:
    """One with all modalities, of which a training case lacks t2; one with t1; one with two."""
    folder = tmp_path_factory.mktemp("modal-sites")
    (folder / "split.json").write_text(SPLIT)
    root = folder / "data"
    shutil.copytree(brats_site, root)
    (root / "BraTS2021_00001" / "BraTS2021_00001_t2.nii.gz").unlink()
    held = {"site-1": CHANNELS, "site-2": ("t1",), "site-3": ("flair", "t2")}
    found = []
    for name, modalities in held.items():
        site = SiteSettings(
            "brats",
            str(root if name == "site-1" else brats_site),
            modalities,
            str(folder / "split.json"),
            attachments=("prototypes",),
        )
        found.append(open_site(name, site, modal_job_of().data, folder / name))
    return found
