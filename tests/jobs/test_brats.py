"""The job brats in one process, on tiny brain phantoms, with two orders of the contrasts."""

from pathlib import Path

import pytest

from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights
from fedvox.training.in_process import run_in_process

JOBS = Path(__file__).parents[2] / "jobs"
ALL = "t1+t1ce+t2+flair"
TINY = [
    "data.spacing=[10,10,10]",
    "data.patch=[16,16,16]",
    "network.channels=[4,8]",
    f"phantom.modalities={ALL},flair+t2+t1ce+t1",
    "phantom.train=2",
    "phantom.val=1",
    "phantom.test=1",
    "phantom.spacing_mm=10",
    "training.rounds=1",
    "training.steps=2",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobSettings:
    folder = tmp_path_factory.mktemp("job")
    return job_settings(export_job(JOBS / "brats", folder, "pinned", TINY, "tiny"))


def test_brains_train_and_are_scored_by_region(
    job: JobSettings, phantom_sites, tmp_path: Path, cpu
) -> None:
    sites = phantom_sites(job)
    assert list((tmp_path / "site-1/phantom").rglob("Phantom-BraTS-*"))
    assert all(site.phantom for site in sites)
    result = run_in_process(sites, job, tmp_path / "run")
    model = initial_model(job)
    load_weights(model, result.last)
    rows = score_cases(model, "global_last", sites[1].test, job, "site-2", "test", cpu)
    assert {row.modality for row in rows} == {ALL}
    assert {row.organ for row in rows} == {
        "tumour_necrotic",
        "tumour_oedema",
        "tumour_enhancing",
        "tumour_whole",
        "tumour_core",
    }
    whole, parts = (
        sum(row.gt_voxels for row in rows if row.organ in names)
        for names in (["tumour_whole"], list(job.data.organs))
    )
    assert whole == parts > 0


def test_its_channels_are_what_its_phantoms_hold(job: JobSettings) -> None:
    assert job.data.channels == ("t1", "t1ce", "t2", "flair")
    assert job.phantom.body == "brain"
    assert all(set(entry.split("+")) == set(job.data.channels) for entry in job.phantom.modalities)
