"""Compressed updates under `nvflare simulator`: bytes on the wire, and the in-process reference."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.compression.replica import replica_of
from fedvox.data.site.site_data import open_site
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.flare.loopback.simulate import simulate
from fedvox.flare.run.site_setup import phantom_site
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
SITES = ("site-1", "site-2")
COMPRESSED = [
    "compression.up.keep=0.05",
    "compression.down.keep=0.05",
    "network.channels=[16,32]",
    "training.rounds=3",
    "evaluation.site_models=false",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    folder, changes = tmp_path_factory.mktemp("job"), [*tiny_overrides, *COMPRESSED]
    return export_job(JOBS / "fedgin", folder, "pinned", changes, "compressed")


@pytest.fixture(scope="module", params=[1, 2])
def work(
    request: pytest.FixtureRequest, job: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with fewer threads than sites, whose processes live for one task, and one without."""
    work = tmp_path_factory.mktemp("work")
    simulate(job, 2, work, threads=request.param)
    return work / "run"


def test_simulator_equals_the_in_process_reference(job: Path, work: Path, tmp_path: Path) -> None:
    settings = job_settings(job)
    sites = []
    for name in SITES:
        site = phantom_site(name, settings.phantom, tmp_path / name / "phantom")
        sites.append(open_site(name, site, settings.data, tmp_path / name))
    reference = run_in_process(sites, settings, tmp_path / "run")
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00003.safetensors")
    simulated = load_file(str(path))
    assert replica_of(3, simulated) == replica_of(3, reference.last)
    for name in SITES:  # what the last round began with, at every site
        (path,) = work.glob(f"{name}/simulate_job/fedvox_state/*/replica.safetensors")
        (own,) = (tmp_path / "run" / name).parent.glob("server/model_00002.safetensors")
        held = load_file(str(path))
        assert replica_of(2, held) == replica_of(2, load_file(str(own)))


def test_the_record_holds_the_bytes_of_the_messages(job: Path, work: Path) -> None:
    lines = (work / "server/simulate_job/fedvox/rounds.jsonl").read_text().splitlines()
    *rounds, final = map(json.loads, lines)
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00003.safetensors")
    whole = 2 * sum(np.asarray(array).nbytes for array in load_file(str(path)).values())
    for record in rounds:
        assert 0 < record["bytes_down"] < 0.1 * whole
        assert 0 < record["bytes_up"] < 0.1 * whole
        parts = record["contributors"]
        assert record["bytes_up"] == sum(entry["bytes_up"] for entry in parts)
    assert final["bytes_down"] > 2 * whole  # two models to two sites, whole
    assert 0 < final["bytes_up"] < final["bytes_down"]
