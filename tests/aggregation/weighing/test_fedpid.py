import pytest

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.weighing import build_weighing
from fedvox.aggregation.weighing.settings import FedPIDSettings

CASES = {"a": 30, "b": 10, "c": 10}
SHARES = {"a": 0.6, "b": 0.2, "c": 0.2}


def round_of(sites_of, **dice: float | None):
    told = {site: {"mr": (own, 2)} for site, own in dice.items() if own is not None}
    cases = {site: CASES[site] for site in dice}
    return sites_of({key: {} for key in dice}, cases=cases, validation=told)


def play(sites_of, *rounds, settings="fedpid"):
    """The weights of the last of some rounds and what is remembered then."""
    memory, shares = Memory(), {}
    for dice in rounds:
        shares, more = build_weighing(settings)(*round_of(sites_of, **dice), memory)
        memory = memory.extended(more)
    return {site: share.weight for site, share in shares.items()}, memory.numbers["fedpid"]


def test_the_first_round_is_the_weighted_mean(sites_of):
    found, kept = play(sites_of, {"a": 0.1, "b": 0.2, "c": 0.3})
    assert found == pytest.approx(SHARES)
    assert kept["first"] == kept["last"] == pytest.approx({"a": 0.9, "b": 0.8, "c": 0.7})


def test_weights_are_those_of_the_formula(sites_of):
    settings = FedPIDSettings(share=0.5, drop=0.3, total=0.2)
    rounds = ({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.3, "b": 0.4, "c": 0.2})
    found, _ = play(sites_of, *rounds, {"a": 0.4, "b": 0.4, "c": 0.5}, settings=settings)
    drop = {"a": 0.1 / 0.4, "b": 0.0, "c": 0.3 / 0.4}
    total = {"a": 0.3 / 0.7, "b": 0.2 / 0.7, "c": 0.2 / 0.7}
    assert found == pytest.approx(
        {s: 0.5 * SHARES[s] + 0.3 * drop[s] + 0.2 * total[s] for s in "abc"}
    )


def test_losses_that_rose_count_as_no_drop_and_no_drop_at_all_leaves_its_weight_to_the_cases(
    sites_of,
):
    found, _ = play(sites_of, {"a": 0.5, "b": 0.5, "c": 0.5}, {"a": 0.3, "b": 0.5, "c": 0.6})
    assert found == pytest.approx({"a": 0.27, "b": 0.09, "c": 0.09 + 0.55})
    found, _ = play(sites_of, {"a": 0.5, "b": 0.5, "c": 0.5}, {"a": 0.3, "b": 0.5, "c": 0.1})
    assert found == pytest.approx(SHARES)


def test_a_site_without_validation_or_new_counts_as_the_mean_of_the_others(sites_of):
    found, kept = play(sites_of, {"a": 0.2, "b": None}, {"a": 0.5, "b": None, "c": 0.4})
    assert found == pytest.approx({site: 0.45 * SHARES[site] + 0.55 / 3 for site in "abc"})
    assert kept == {
        "first": pytest.approx({"a": 0.8, "c": 0.6}),
        "last": pytest.approx({"a": 0.5, "c": 0.6}),
    }


def test_the_drop_of_a_site_that_was_away_is_since_it_was_there_last(sites_of):
    rounds = ({"a": 0.1, "b": 0.1}, {"a": 0.2}, {"a": 0.3, "b": 0.4})
    found, _ = play(sites_of, *rounds)
    shares = {"a": 0.75, "b": 0.25}
    drop, total = {"a": 0.25, "b": 0.75}, {"a": 0.4, "b": 0.6}
    assert found == pytest.approx({s: 0.45 * (shares[s] + drop[s]) + 0.1 * total[s] for s in "ab"})
