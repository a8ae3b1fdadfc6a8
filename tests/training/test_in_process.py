from dataclasses import replace

import numpy as np
import pytest
import torch

from fedvox.aggregation.run_state import RunState
from fedvox.data.quality.site import QUALITY, cases_quality
from fedvox.inference.evaluate import Validation
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process
from fedvox.training.local_round import train_round
from fedvox.training.local_update import local_update


@pytest.fixture(scope="module")
def result(sites, job, tmp_path_factory):
    return run_in_process(sites, job, tmp_path_factory.mktemp("reference"))


def test_two_runs_give_the_same_bits(result, sites, job, tmp_path):
    torch.manual_seed(4321)
    again = run_in_process(sites, job, tmp_path)
    assert weights_hash(again.last) == weights_hash(result.last)
    assert weights_hash(again.best) == weights_hash(result.best)
    assert again.choice == result.choice


def test_a_second_run_in_the_same_folder_starts_without_the_memory_of_the_first(
    sites, make_job, tmp_path
):
    job = make_job(training={"steps": 1, "server_momentum": 0.9})
    first, second = (weights_hash(run_in_process(sites, job, tmp_path).last) for _ in range(2))
    assert first == second


def test_order_of_sites_does_not_matter(result, sites, job, tmp_path):
    turned = run_in_process(sites[::-1], job, tmp_path)
    assert weights_hash(turned.last) == weights_hash(result.last)


def test_one_site_equals_plain_local_training(sites, job, tmp_path, cpu):
    federated = run_in_process(sites[:1], job, tmp_path / "federated")
    model = initial_model(job)
    for index in range(job.training.rounds):
        train_round(model, sites[0].train, job, sites[0].name, index, tmp_path / "local", cpu)
    assert weights_hash(weights_of(model)) == weights_hash(federated.last)


def test_first_round_is_the_mean_of_what_the_sites_trained(make_job, sites, tmp_path, cpu):
    job = make_job(training={"rounds": 1})
    federated = run_in_process(sites, job, tmp_path / "federated")
    trained = []
    for site in sites:
        model = initial_model(job)
        train_round(model, site.train, job, site.name, 0, tmp_path / site.name, cpu)
        trained.append(weights_of(model))
    for name, array in federated.last.items():
        # both sites have three training cases, so the mean is plain; one rounding to float32
        expected = (trained[0][name].astype(np.float64) + trained[1][name]) / 2
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-12)


def test_records_cover_every_round_and_site(result, job):
    assert [record["round"] for record in result.rounds] == list(range(job.training.rounds))
    for record in result.rounds:
        assert [entry["site"] for entry in record["contributors"]] == ["site-1", "site-2"]
        assert [entry["weight"] for entry in record["contributors"]] == [0.5, 0.5]
        assert set(record["validation"]) == {"ct", "mr"}
        assert record["refused"] == []


def test_an_update_that_is_refused_does_not_end_the_run(make_job, sites, tmp_path, monkeypatch):
    def local(model, site, *args, **more):
        update = local_update(model, site, *args, **more)
        broken = {name: np.full_like(array, np.nan) for name, array in update.arrays.items()}
        return replace(update, arrays=broken) if site.name == "site-1" else update

    monkeypatch.setattr("fedvox.training.in_process.local_update", local)
    (record,) = run_in_process(sites, make_job(training={"rounds": 1}), tmp_path).rounds
    assert [entry["site"] for entry in record["contributors"]] == ["site-2"]
    assert [entry["site"] for entry in record["refused"]] == ["site-1"]


def test_best_model_is_a_model_that_was_validated(result, job):
    assert 1 <= result.choice.version <= job.training.rounds
    if result.choice.version == job.training.rounds:
        assert weights_hash(result.best) == weights_hash(result.last)
    scores = [sum(r["validation"].values()) / 2 for r in result.rounds[1:]]
    assert result.choice.score >= max(scores)


@pytest.mark.parametrize(
    ("course", "chosen"),
    [((0.9, 0.2, 0.1), 1), ((0.9, 0.1, 0.2), 2), ((0.1, 0.2, 0.2), 2)],
    ids=["untrained is best", "last is best but the untrained", "tie"],
)
def test_server_and_this_process_choose_alike(sites, job, tmp_path, monkeypatch, course, chosen):
    scripted = iter([dice for dice in course for _ in sites])

    def scored(model, cases, job, device):
        return {cases[0].modality: Validation(next(scripted), len(cases))}

    monkeypatch.setattr("fedvox.training.local_update.validate", scored)
    own = run_in_process(sites, job, tmp_path / "reference")
    state = RunState(tmp_path / "server")
    for record in own.rounds:
        state.finish_round(own.last, own.last, record)
    last = {site.name: {site.val[0].modality: (course[-1], len(site.val))} for site in sites}
    assert own.choice == state.course.with_last(state.version, last).best
    assert own.choice.version == chosen
    if chosen == job.training.rounds:
        assert weights_hash(own.best) == weights_hash(own.last)


def test_seed_of_the_job_decides_the_initial_weights(make_job):
    hashes = [
        weights_hash(weights_of(initial_model(make_job(training={"seed": seed}))))
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_update_claims_what_the_site_did(sites, job, tmp_path, cpu):
    update = local_update(initial_model(job), sites[1], job, 0, tmp_path, cpu)
    assert (update.site, update.round, update.cases, update.steps) == ("site-2", 0, 3, 2)
    assert update.modality == "mr"
    assert update.validation["mr"][1] == 1


def test_update_claims_no_modality_that_the_site_only_tests(sites, job, tmp_path, cpu):
    both = replace(sites[1], test=sites[0].test)
    assert both.modalities == ["ct", "mr"]
    assert local_update(initial_model(job), both, job, 0, tmp_path, cpu).modality == "mr"


def test_validation_in_an_update_is_that_of_the_received_model(sites, job, tmp_path, cpu):
    slow, fast = (
        local_update(initial_model(job), sites[0], job, index, tmp_path / str(index), cpu)
        for index in (0, 1)
    )
    assert slow.validation == fast.validation
    assert weights_hash(slow.arrays) != weights_hash(fast.arrays)


def test_stopped_round_gives_no_update(sites, job, tmp_path, cpu):
    assert local_update(initial_model(job), sites[0], job, 0, tmp_path, cpu, lambda: True) is None


def test_quality_is_told_only_where_the_rule_of_weights_asks(sites, job, make_job, tmp_path, cpu):
    silent = local_update(initial_model(job), sites[0], job, 0, tmp_path, cpu)
    assert silent.quality == 1.0 and not (tmp_path / QUALITY).exists()
    asks = make_job(training={"client_weight": "adaptive"})
    told = local_update(initial_model(asks), sites[0], asks, 0, tmp_path, cpu)
    assert told.quality == cases_quality(sites[0].train) < 1.0 and (tmp_path / QUALITY).exists()
    assert weights_hash(told.arrays) == weights_hash(silent.arrays)
