"""FedBN under `nvflare simulator`: what is sent, what stays, and the in-process reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.errors import ModelError
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.inference.model_files.model_file import read_model
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.networks.parts import norm_tensors
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
FEDBN = [
    "network.norm=batch",
    "phantom.train=3",
    "training.personal=norm",
    "training.rounds=2",
    "training.steps=3",
]
SITES = ("site-1", "site-2")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    folder, changes = tmp_path_factory.mktemp("job"), [*tiny_overrides, *FEDBN]
    return export_job(JOBS / "fedgin", folder, "pinned", changes, "fedbn")


@pytest.fixture(scope="module")
def work(job: Path, recorded: Callable[[Path, int], Path]) -> Path:
    return recorded(job, 2)


def own_models(work: Path, site: str) -> Path:
    return work / site / "simulate_job/fedvox/own_model"


def test_no_normalisation_tensor_is_in_any_message_and_every_other_one_is(
    job: Path, work: Path, wire: Path
) -> None:
    model = initial_model(job_settings(job))
    norm = norm_tensors(model) & set(weights_of(model))
    assert len(norm) >= 8
    common = set(weights_of(model)) - norm
    lines = [line.split() for path in wire.iterdir() for line in path.read_text().splitlines()]
    for parties in ({"server"}, set(SITES)):
        own = [(int(n), names) for who, way, n, *names in lines if who in parties and way == "sent"]
        assert {name for _, names in own for name in names} == common
        assert max(count for count, _ in own) == len(common)


def test_simulator_equals_the_in_process_reference_personal_tensors_included(
    job: Path, work: Path, phantom_sites, tmp_path: Path
) -> None:
    settings = job_settings(job)
    reference = run_in_process(phantom_sites(settings), settings, tmp_path / "run")
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00002.safetensors")
    simulated = load_file(str(path))
    assert simulated.keys() == reference.last.keys()
    assert all(np.array_equal(simulated[n], array) for n, array in reference.last.items())
    for name in SITES:
        complete = read_model(own_models(work, name) / "round_2/model.safetensors").weights
        expected = {**reference.last, **reference.personal[name]}
        assert complete.keys() == expected.keys()
        assert all(np.array_equal(complete[n], array) for n, array in expected.items())


def test_each_site_has_its_own_complete_model_and_the_server_s_is_refused(work: Path) -> None:
    models = [read_model(own_models(work, name) / "round_2/model.safetensors") for name in SITES]
    assert [model.description["site"] for model in models] == list(SITES)
    name = "model.0.adn.N.running_mean"
    assert not np.array_equal(models[0].weights[name], models[1].weights[name])
    for path in own_models(work, "site-1").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(ModelError, match="own_model"):
        read_model(work / "server/simulate_job/fedvox/model.safetensors")
    assert not list((work / "server").rglob("own_model"))
