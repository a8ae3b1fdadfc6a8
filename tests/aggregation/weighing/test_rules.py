import dataclasses

import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.weighing import build_weighing


def weights(rule: str, *updates) -> dict[str, float]:
    shares, kept = build_weighing(rule)(
        {update.site: update for update in updates}, None, {}, Memory()
    )
    assert not kept
    return {site: share.weight for site, share in shares.items()}


@pytest.mark.parametrize(
    ("rule", "weight", "reason"),
    [
        ("cases", 24.0, "24 training cases"),
        ("steps", 80.0, "80 steps"),
        ("uniform", 1.0, "uniform"),
    ],
)
def test_weight_follows_the_rule_and_says_why(update_of, rule, weight, reason):
    update = update_of("a", {}, cases=24, steps=80)
    (share,) = build_weighing(rule)({"a": update}, None, {}, Memory())[0].values()
    assert (share.weight, share.reason) == (weight, reason)


def trained(update_of, site: str, modality: str = "", **training: int):
    cases = sum(training.values())
    return update_of(site, {}, cases=cases, training=training, modality=modality)


def test_modality_first_gives_every_modality_the_same_weight(update_of):
    sites = (("a", {"ct": 30}), ("b", {"ct": 10}), ("c", {"mr": 5}))
    found = weights("modality_first", *(trained(update_of, name, **own) for name, own in sites))
    assert found == pytest.approx({"a": 0.375, "b": 0.125, "c": 0.5})


def test_a_site_of_two_modalities_counts_in_each_with_its_cases_of_it(update_of):
    sites = (("a", {"ct": 90, "mr": 10}), ("b", {"ct": 10, "mr": 30}))
    found = weights("modality_first", *(trained(update_of, name, **own) for name, own in sites))
    assert found == pytest.approx({"a": (0.9 + 0.25) / 2, "b": (0.1 + 0.75) / 2})


@pytest.mark.parametrize("claim", ["", "mr", "ct,mr", "ct"])
def test_what_a_site_claims_to_be_of_decides_nothing(update_of, claim):
    updates = [trained(update_of, name, "ct", ct=100) for name in ("a", "b")]
    updates.append(trained(update_of, "c", claim, ct=1))
    found = weights("modality_first", *updates)
    assert found == pytest.approx({"a": 100 / 201, "b": 100 / 201, "c": 1 / 201})


def test_fewer_cases_than_registered_count_less_and_of_the_same_modalities(update_of):
    lost = dataclasses.replace(trained(update_of, "a", ct=8, mr=4), cases=6)
    found = weights("modality_first", lost, trained(update_of, "b", ct=4, mr=6))
    assert found == pytest.approx({"a": (0.5 + 0.25) / 2, "b": (0.5 + 0.75) / 2})


@pytest.mark.parametrize("training", [{"mr": 1}, {}], ids=["one modality", "nobody registers"])
def test_with_one_modality_modality_first_weighs_by_cases(update_of, training):
    sites = [update_of(name, {}, cases=n, training=training) for name, n in (("a", 3), ("b", 9))]
    assert weights("modality_first", *sites) == pytest.approx({"a": 0.25, "b": 0.75})
