import dataclasses

import numpy as np
import pytest

from fedvox.aggregation.selection import Best
from fedvox.errors import ConfigError
from fedvox.inference.site_rows import site_rows
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.tensors import weights_hash
from fedvox.training.arms import ARMS, ArmModel, merged, score_models
from fedvox.training.in_process import InProcessResult, run_in_process
from fedvox.training.local_round import train_round
from fedvox.training.state import load_personal


@pytest.fixture(scope="module")
def external(open_phantom):
    site = open_phantom("mr", "site-3")
    return dataclasses.replace(site, train=[], val=[], external=True)


@pytest.fixture
def one_round(make_job):
    return make_job(training={"rounds": 1, "steps": 1, "server_momentum": 0.5})


def test_a_local_arm_is_plain_training_without_a_servers_momentum(
    sites, make_job, tmp_path, cpu, monkeypatch
):
    job = make_job(training={"rounds": 2, "steps": 1, "server_momentum": 0.5})
    last = {}

    def last_model(own, settings, folder):
        result = run_in_process(own, settings, folder)
        last[own[0].name] = result.last
        return result

    monkeypatch.setattr("fedvox.training.arms.run_in_process", last_model)
    ARMS["local"](sites[:1], job, tmp_path / "arm")
    model = initial_model(job)
    for index in range(2):
        train_round(model, sites[0].train, job, "site-1", index, tmp_path / "plain", cpu)
    assert weights_hash(last["site-1"]) == weights_hash(weights_of(model))


def test_centralised_training_sees_every_case(sites):
    together = merged(sites)
    assert (len(together.train), len(together.val), len(together.test)) == (6, 2, 4)
    assert together.modalities == ["ct", "mr"] and together.phantom


@pytest.mark.parametrize(
    ("arm", "models"),
    [
        ("local", {"site-1", "site-2"}),
        ("centralised", {"centralised"}),
        ("federated", {"global_best", "global_last"}),
    ],
)
def test_an_arm_names_its_models_and_an_external_site_changes_none(
    sites, one_round, external, tmp_path, arm, models
):
    found = [
        {n: weights_hash(own.weights) for n, own in ARMS[arm](who, one_round, folder).items()}
        for who, folder in (([*sites, external], tmp_path / "with"), (sites, tmp_path / "without"))
    ]
    assert set(found[0]) == models and found[0] == found[1]


@pytest.mark.parametrize("arm", ["centralised", "federated"])
def test_nothing_trains_without_a_site_that_trains(external, one_round, tmp_path, arm):
    with pytest.raises(ConfigError, match=r"no site trains.*add a site that trains"):
        ARMS[arm]([external], one_round, tmp_path)


def test_every_model_is_scored_at_every_site_that_only_tests_too(
    sites, job, external, tmp_path, cpu
):
    first, second = (initial_model(dataclasses.replace(job)) for _ in range(2))
    models = {
        name: ArmModel(weights_of(network), job, tmp_path, 0)
        for name, network in (("a", first), ("b", second))
    }
    rows = score_models(models, [*sites, external])
    assert {(row.model, row.site) for row in rows} == {
        (model, site) for model in "ab" for site in ("site-1", "site-2", "site-3")
    }
    alone = site_rows(first, "a", external, job, "test", cpu)
    assert all(row.case.startswith("phantom-") for row in rows)
    assert [row for row in rows if (row.model, row.site) == ("a", "site-3")] == alone


def test_the_best_model_is_of_the_version_that_was_chosen(job, tmp_path, monkeypatch):
    result = InProcessResult({}, {}, Best(1, 0.5), [{}, {}])
    monkeypatch.setattr("fedvox.training.arms.run_in_process", lambda *_: result)
    found = ARMS["federated"]([], job, tmp_path)
    assert {n: own.version for n, own in found.items()} == {"global_best": 1, "global_last": 2}


def test_where_tensors_stay_each_site_scores_with_its_own_of_the_models_version(
    sites, make_job, external, tmp_path, monkeypatch
):
    job = make_job(network={"norm": "batch"}, training={"steps": 1, "personal": ["norm"]})
    everyone, models, scored = [*sites, external], {}, {}
    for name in ARMS:
        models |= ARMS[name](everyone, job, tmp_path / name)
    models["earlier"] = dataclasses.replace(models["global_last"], version=1)

    def keep(network, name, site, *_):
        scored[name, site.name] = weights_of(network)
        return []

    monkeypatch.setattr("fedvox.training.arms.site_rows", keep)
    assert score_models(models, everyone) == []
    own = {}
    for name, site in ((n, s.name) for n in ("earlier", "global_last") for s in sites):
        own[name, site] = load_personal(tmp_path / "federated" / site, models[name].version)
        expected = {**models[name].weights, **own[name, site]}
        assert weights_hash(scored[name, site]) == weights_hash(expected)
    assert len({weights_hash(tensors) for tensors in own.values()}) == 4
    for name in ("site-1", "site-2", "centralised"):  # complete: nothing has to stay
        for site in everyone:
            assert weights_hash(scored[name, site.name]) == weights_hash(models[name].weights)
    mean = "model.0.adn.N.running_mean"
    assert not np.array_equal(
        scored["global_last", "site-3"][mean], weights_of(initial_model(job))[mean]
    )
