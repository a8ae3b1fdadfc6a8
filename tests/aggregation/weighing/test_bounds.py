import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.weighing.bounds import bounded

SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1e-30, 1e30), min_size=1)
BOUNDS = st.tuples(st.floats(0, 1), st.floats(0.01, 1)).map(sorted)
ROUNDING = 1e-9
"""Shares are sums of up to eight rounded ones, scaled by a quotient of two such sums."""


@given(SCORES, BOUNDS)
def test_shares_keep_the_bounds_as_far_as_so_many_sites_can(scores, bounds):
    least, most = bounds
    found = bounded(scores, least, most)
    total = sum(found.values())
    low, high = min(least, 1 / len(scores)), max(most, 1 / len(scores))
    assert found.keys() == scores.keys() and total > 0
    for weight in found.values():
        assert low - ROUNDING <= weight / total <= high + ROUNDING


@given(SCORES, BOUNDS)
def test_the_order_of_sites_stays_and_those_between_the_bounds_keep_their_proportion(
    scores, bounds
):
    least, most = bounds
    found = bounded(scores, least, most)
    total = sum(found.values())
    low, high = min(least, 1 / len(scores)), max(most, 1 / len(scores))
    ranked = sorted(scores, key=lambda site: scores[site])
    assert [found[site] for site in ranked] == sorted(found.values())
    free = [s for s in ranked if low + 1e-6 < found[s] / total < high - 1e-6]
    for first, second in itertools.pairwise(free):
        assert found[second] / found[first] == pytest.approx(scores[second] / scores[first])


@given(SCORES)
def test_without_bounds_the_scores_stay_bit_for_bit(scores):
    assert bounded(scores, 0.0, 1.0) == scores


def test_clipping_alone_would_break_the_bound_that_renormalising_keeps():
    # clip(0.8, 0.1, 0.1) at 0.5 and renormalised once: 0.5 / 0.7 = 0.71
    assert bounded({"a": 8, "b": 1, "c": 1}, 0.0, 0.5) == {"a": 0.5, "b": 0.25, "c": 0.25}


def test_bounds_that_so_many_sites_cannot_keep_make_them_alike():
    assert bounded({"a": 9.0, "b": 1.0}, 0.0, 0.3) == {"a": 0.5, "b": 0.5}
    assert bounded({"a": 9.0, "b": 1.0, "c": 1.0}, 0.5, 1.0) == dict.fromkeys("abc", 1 / 3)
