"""The jobs on brains in one process, on tiny phantoms."""

from pathlib import Path

import pytest

from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.inference.evaluate import score_cases
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights
from fedvox.networks.swin_unetr import SwinUNETRSettings
from fedvox.training.in_process import run_in_process

JOBS = Path(__file__).parents[2] / "jobs"
ALL = "t1+t1ce+t2+flair"
TINY = [
    "data.spacing=[10,10,10]",
    f"phantom.modalities={ALL},flair+t2+t1ce+t1",
    "phantom.train=2",
    "phantom.val=1",
    "phantom.test=1",
    "phantom.spacing_mm=10",
    "training.rounds=1",
    "training.steps=1",
]
NETWORKS = {
    "brats": ["data.patch=[16,16,16]", "network.channels=[4,8]"],
    "fedsegnet": ["data.patch=[64,32,32]", "network.depths=[1,1,1,1]"],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_brains_train_and_are_scored_by_region_whatever_the_order_of_their_contrasts(
    name: str, phantom_sites, tmp_path: Path, cpu
) -> None:
    changes = [*TINY, *NETWORKS[name]]
    job = job_settings(export_job(JOBS / name, tmp_path / "job", "pinned", changes, "tiny"))
    sites = phantom_sites(job)
    assert list((tmp_path / "site-1/phantom").rglob("Phantom-BraTS-*"))
    assert all(site.phantom for site in sites)
    result = run_in_process(sites, job, tmp_path / "run")
    (record,) = (record for record in result.rounds if record.get("contributors"))
    assert [entry["site"] for entry in record["contributors"]] == ["site-1", "site-2"]
    model = initial_model(job)
    assert set(result.last) == {name for name, _ in model.named_parameters()}
    load_weights(model, result.last)
    rows = score_cases(model, "global_last", sites[1].test, job, "site-2", "test", cpu)
    assert {row.modality for row in rows} == {ALL}
    voxels = {row.organ: row.gt_voxels for row in rows}
    parts = {"tumour_necrotic", "tumour_oedema", "tumour_enhancing"}
    assert set(voxels) == parts | {"tumour_whole", "tumour_core"}
    assert voxels["tumour_whole"] == sum(voxels[part] for part in parts) > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_their_channels_are_what_their_phantoms_hold(name: str) -> None:
    job = job_settings(JOBS / name)
    assert job.data.channels == ("t1", "t1ce", "t2", "flair")
    assert job.phantom.body == "brain"
    assert all(set(entry.split("+")) == set(job.data.channels) for entry in job.phantom.modalities)


def test_fedsegnet_trains_a_transformer() -> None:
    job = job_settings(JOBS / "fedsegnet")
    assert isinstance(job.network, SwinUNETRSettings) and job.network.feature_size == 12
