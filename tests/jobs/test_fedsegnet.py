"""The job fedsegnet in one process, on tiny brain phantoms."""

from pathlib import Path

import pytest

from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights
from fedvox.networks.swin_unetr import SwinUNETRSettings
from fedvox.training.in_process import run_in_process

JOBS = Path(__file__).parents[2] / "jobs"
TINY = [
    "data.spacing=[10,10,10]",
    "data.patch=[64,32,32]",
    "network.depths=[1,1,1,1]",
    "phantom.train=1",
    "phantom.val=1",
    "phantom.test=1",
    "phantom.spacing_mm=10",
    "training.rounds=1",
    "training.steps=1",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobSettings:
    folder = tmp_path_factory.mktemp("job")
    return job_settings(export_job(JOBS / "fedsegnet", folder, "pinned", TINY, "tiny"))


def test_two_sites_average_what_is_trained_and_their_tumours_are_scored_by_region(
    job: JobSettings, phantom_sites, tmp_path: Path, cpu
) -> None:
    sites = phantom_sites(job)
    result = run_in_process(sites, job, tmp_path / "run")
    (record,) = (record for record in result.rounds if record.get("contributors"))
    assert [entry["site"] for entry in record["contributors"]] == ["site-1", "site-2"]
    model = initial_model(job)
    assert set(result.last) == {name for name, _ in model.named_parameters()}
    assert not any("index" in name for name in result.last)
    load_weights(model, result.last)
    rows = score_cases(model, "global_last", sites[1].test, job, "site-2", "test", cpu)
    assert {"tumour_whole", "tumour_core", "tumour_enhancing"} <= {row.organ for row in rows}


def test_it_trains_a_transformer_on_all_contrasts_that_its_phantoms_hold() -> None:
    job = job_settings(JOBS / "fedsegnet")
    assert isinstance(job.network, SwinUNETRSettings)
    assert job.network.feature_size == 12
    assert job.phantom.body == "brain"
    assert all(set(entry.split("+")) == set(job.data.channels) for entry in job.phantom.modalities)
