"""FedBN at a site: its normalisation stays, survives a restart, and the site is scored with it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedvox.errors import ModelError
from fedvox.inference.evaluate import validate
from fedvox.inference.model_files.model_file import read_model
from fedvox.inference.predict import loaded
from fedvox.inference.sliding import predict_scores
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.networks.parts import norm_tensors
from fedvox.tensors import weights_hash
from fedvox.training.in_process import run_in_process
from fedvox.training.local_update import local_update
from fedvox.training.site_model import SiteModel, write_own_model
from fedvox.training.state import load_personal, save_optimizer, save_personal

MEAN = "model.0.adn.N.running_mean"


@pytest.fixture(scope="module")
def fedbn(make_job):
    return make_job(network={"norm": "batch"}, training={"personal": ["norm"]})


@pytest.fixture(scope="module")
def result(sites, fedbn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fedbn")
    return run_in_process(sites, fedbn, folder), folder


@pytest.fixture(scope="module")
def norm(fedbn):
    model = initial_model(fedbn)
    return norm_tensors(model) & set(weights_of(model))


def site_model(site, job, state) -> SiteModel:
    return SiteModel(initial_model(job), site, job, state, torch.device("cpu"))


def test_no_normalisation_tensor_is_in_the_global_model_or_in_an_update(
    result, sites, fedbn, norm, tmp_path, cpu
):
    federated, _ = result
    everything = set(weights_of(initial_model(fedbn)))
    assert set(federated.last) == set(federated.best) == everything - norm
    assert federated.rounds[0]["refused"] == []
    own = site_model(sites[0], fedbn, tmp_path)
    received = {n: a for n, a in weights_of(own.network).items() if n in own.travelling}
    update = local_update(own.load(received, 0), sites[0], fedbn, 0, tmp_path, cpu)
    assert set(update.arrays) == everything - norm == own.travelling


def test_each_site_keeps_its_own_normalisation(result, norm):
    federated, folder = result
    first, second = federated.personal["site-1"], federated.personal["site-2"]
    assert set(first) == set(second) == norm
    assert weights_hash(first) != weights_hash(second)
    assert weights_hash(load_personal(folder / "site-1")) == weights_hash(first)


def test_a_site_is_scored_with_its_own_tensors(result, sites, fedbn, cpu):
    federated, folder = result
    image = sites[0].val[0].tensor("image")
    scores = {}
    for name in ("site-1", "site-2"):
        own = site_model(sites[0], fedbn, folder / name).load(federated.last)
        found = weights_of(own)
        expected = {**federated.last, **federated.personal[name]}
        assert weights_hash(found) == weights_hash(expected)
        scores[name] = predict_scores(own, image, fedbn, cpu)
    assert not torch.equal(scores["site-1"], scores["site-2"])
    reports = federated.rounds[1]["scores"]
    own = site_model(sites[0], fedbn, folder / "site-1")
    # the second round validated what the first one left, with what the site had then
    first = site_model(sites[0], fedbn, folder / "site-1")
    assert set(reports) == {"site-1", "site-2"}
    assert weights_hash(weights_of(own.load(federated.last, 1))) != weights_hash(
        weights_of(first.load(federated.last, 2))
    )


def test_a_restarted_site_goes_on_bit_for_bit(sites, fedbn, tmp_path, cpu):
    def trained(folder, restarts: bool) -> str:
        own = site_model(sites[0], fedbn, folder)
        start = {n: a for n, a in weights_of(own.network).items() if n in own.travelling}
        for index in range(3):
            if restarts:
                own = site_model(sites[0], fedbn, folder)
            update = local_update(own.load(start, index), sites[0], fedbn, index, folder, cpu)
        return weights_hash(update.arrays) + weights_hash(load_personal(folder))

    assert trained(tmp_path / "a", restarts=False) == trained(tmp_path / "b", restarts=True)


def test_a_task_that_is_sent_twice_gives_the_same_numbers_twice(sites, fedbn, tmp_path, cpu):
    own = site_model(sites[0], fedbn, tmp_path)
    start = {n: a for n, a in weights_of(own.network).items() if n in own.travelling}
    hashes = []
    for index in (0, 1, 1):
        update = local_update(own.load(start, index), sites[0], fedbn, index, tmp_path, cpu)
        hashes.append(weights_hash(update.arrays) + weights_hash(load_personal(tmp_path)))
    assert hashes[1] == hashes[2] != hashes[0]


def test_a_new_site_takes_initial_weights_and_estimates_statistics_without_labels(
    result, sites, fedbn, norm, tmp_path, monkeypatch
):
    federated, _ = result
    initial = weights_of(initial_model(fedbn))
    found = weights_of(site_model(sites[1], fedbn, tmp_path).load(federated.last))
    again = weights_of(site_model(sites[1], fedbn, tmp_path).load(federated.last))
    assert weights_hash(found) == weights_hash(again)
    for name in norm:
        estimated = name.endswith(("running_mean", "running_var"))
        assert np.array_equal(found[name], initial[name]) is not estimated, name
    other = weights_of(site_model(sites[0], fedbn, tmp_path).load(federated.last))
    assert not np.array_equal(other[MEAN], found[MEAN])


def test_a_site_without_training_cases_estimates_from_those_that_it_has(
    result, sites, fedbn, tmp_path
):
    federated, _ = result
    tests_only = replace(sites[1], train=(), val=())
    found = weights_of(site_model(tests_only, fedbn, tmp_path).load(federated.last))
    assert not np.array_equal(found[MEAN], weights_of(initial_model(fedbn))[MEAN])
    assert np.isfinite(found[MEAN]).all()


def test_a_personal_model_other_than_norm_is_kept_too(sites, make_job, tmp_path, cpu):
    job = make_job(training={"personal": ["model.2.*"]})
    own = site_model(sites[0], job, tmp_path)
    start = {n: a for n, a in weights_of(own.network).items() if n in own.travelling}
    assert not any(name.startswith("model.2.") for name in start)
    local_update(own.load(start, 0), sites[0], job, 0, tmp_path, cpu)
    kept = load_personal(tmp_path)
    assert kept and all(name.startswith("model.2.") for name in kept)
    assert weights_hash(weights_of(own.load(start, 1))) == weights_hash({**start, **kept})


def test_what_does_not_travel_is_refused(sites, fedbn, tmp_path):
    own = site_model(sites[0], fedbn, tmp_path)
    with pytest.raises(ModelError, match="another network"):
        own.load(weights_of(own.network))


def test_without_personal_tensors_nothing_stays_and_nothing_is_written(sites, job, tmp_path, cpu):
    own = site_model(sites[0], job, tmp_path)
    start = weights_of(own.network)
    assert own.travelling == set(start)
    local_update(own.load(start, 0), sites[0], job, 0, tmp_path, cpu)
    assert [path.name for path in tmp_path.iterdir()] == ["optimizer_00000.safetensors"]


def test_personal_tensors_of_another_network_are_refused(sites, fedbn, tmp_path):
    own = site_model(sites[0], fedbn, tmp_path)
    start = {n: a for n, a in weights_of(own.network).items() if n in own.travelling}
    assert MEAN in weights_of(own.network)
    wrong = {MEAN: np.zeros(99, np.float32)}
    save_personal(wrong, tmp_path, 0)
    save_optimizer(torch.optim.AdamW(own.network.named_parameters()), tmp_path, 0)
    with pytest.raises(ModelError, match="running_mean"):
        own.load(start)


def test_own_model_predicts_as_the_site_evaluates(result, sites, fedbn, tmp_path, cpu):
    federated, folder = result
    own = site_model(sites[0], fedbn, folder / "site-1").load(federated.last)
    site = replace(sites[0], test=sites[1].test)  # tests MRI, trains CT
    path = write_own_model(tmp_path / "own", own, "global_last", site, fedbn, 2)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    trained = read_model(path)
    assert (trained.description["site"], trained.description["round"]) == ("site-1", 2)
    assert trained.description["modalities"] == ["ct"] and trained.name == "global_last"
    model, _ = loaded(trained)
    assert validate(model, sites[0].val, fedbn, cpu) == validate(own, sites[0].val, fedbn, cpu)
