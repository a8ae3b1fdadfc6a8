import tracemalloc

import numpy as np
import pytest

from fedvox.aggregation.weighing.divergence import (
    COSINE_FLOOR,
    MOST_SIGMA,
    Direction,
    as_long_as_most,
    directions,
    divergences,
)

WEIGHTS = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 1.5}


def test_norm_and_leave_one_out_cosine_are_those_of_the_whole_vectors(sites_of):
    random = np.random.default_rng(3)
    changes = {s: {n: random.normal(size=(4, 5)) for n in ("x", "y", "z")} for s in WEIGHTS}
    updates, read, model = sites_of(changes)
    model = {name: random.normal(size=(4, 5)).astype("f4") for name in model}
    found = directions(updates, read, model, WEIGHTS)

    def vector(site):
        return np.concatenate(
            [(read(site, n).astype("f8") - model[n]).ravel() for n in sorted(model)]
        )

    for site in WEIGHTS:
        others = sum(w * vector(s) for s, w in WEIGHTS.items() if s != site)
        cosine = others @ vector(site) / np.linalg.norm(others) / np.linalg.norm(vector(site))
        assert found[site].cosine == pytest.approx(cosine, rel=1e-9)
        assert found[site].norm == pytest.approx(np.linalg.norm(vector(site)), rel=1e-12)
        assert found[site].rms == pytest.approx(found[site].norm / 60**0.5, rel=1e-12)


def test_a_tensor_counts_among_its_owners_and_alone_it_has_no_direction(sites_of):
    updates, read, model = sites_of(
        {
            "a": {"shared": [1, 0], "ct": [5.0]},
            "b": {"shared": [1, 0], "ct": [5.0]},
            "c": {"shared": [0, 2], "mr": [9.0]},
        }
    )
    found = directions(updates, read, model, dict.fromkeys("abc", 1.0))
    assert found["c"].cosine == 0.0  # (0, 2) against (1, 0): what it alone sends is not compared
    assert found["c"].norm == pytest.approx((4 + 81) ** 0.5)
    # (1, 0, 5) against the mean of the other owners: (0.5, 1) and 5
    assert found["a"].cosine == pytest.approx(25.5 / 26**0.5 / (0.25 + 1 + 25) ** 0.5)


def test_a_huge_update_does_not_turn_the_others_away(sites_of):
    changes = {**{key: {"w": [1.0, 0.0]} for key in "abc"}, "d": {"w": [-1e4, 0.0]}}
    given = sites_of(changes)
    plain = dict.fromkeys("abcd", 2.0)
    assert directions(*given, plain)["a"].cosine == -1.0
    weights = as_long_as_most(*given, plain)
    assert weights == {**plain, "d": pytest.approx(2.0 / 1e4)}
    found = directions(*given, weights)
    assert [found[site].cosine for site in "abcd"] == pytest.approx([1.0, 1.0, 1.0, -1.0])


def test_an_update_that_changes_nothing_and_a_site_alone_have_cosine_zero(sites_of):
    updates, read, model = sites_of({"a": {"w": [0.0, 0.0]}, "b": {"w": [1.0, 1.0]}})
    found = directions(updates, read, model, dict.fromkeys("ab", 1.0))
    assert [own.cosine for own in found.values()] == [0.0, 0.0]
    updates, read, model = sites_of({"a": {"w": [3.0, 4.0]}})
    assert directions(updates, read, model, {"a": 1.0}) == {"a": Direction(5.0, 12.5**0.5, 0.0)}


def test_memory_holds_few_copies_of_a_tensor_however_many_sites_there_are(sites_of):
    size, names = 100_000, [f"s{number}" for number in range(30)]
    updates, _, _ = sites_of({site: {"w": [0.0]} for site in names})
    model = {"w": np.zeros(size, np.float32)}
    tracemalloc.start()
    try:
        directions(updates, lambda *_: np.ones(size, np.float32), model, dict.fromkeys(names, 1.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * 8 * size  # the sum, one site's update, the others' mean and what they need


def directed(**sites: tuple[float, float]) -> dict[str, Direction]:
    return {site: Direction(rms, rms, cosine) for site, (rms, cosine) in sites.items()}


def test_divergence_is_the_sum_of_both_robust_scores():
    found = directed(a=(1.0, 0.9), b=(2.0, 0.5), c=(3.0, 0.1), d=(4.0, 0.5), e=(6.0, -0.9))
    # rms: median 3, deviations 2 1 0 1 3, MAD 1; 1 − cos: median 0.5, deviations .4 0 .4 0 1.4
    apart = divergences(found)
    turned = 1.4826 * 0.4
    expected = {"a": 0.0, "b": 0.0, "c": 0.4 / turned, "d": 1 / 1.4826}
    expected["e"] = 3 / 1.4826 + 1.4 / turned
    assert apart == pytest.approx(expected)


def test_sites_that_are_nearly_alike_do_not_stand_out():
    apart = divergences(directed(a=(1.0, 0.5), b=(1.0, 0.5), c=(1.01, 0.49)))
    assert apart == pytest.approx({"a": 0.0, "b": 0.0, "c": 0.1 + 0.01 / COSINE_FLOOR})


@pytest.mark.parametrize("huge", [1e30, 1e300])
def test_divergence_has_a_largest_value(huge):
    assert divergences(directed(a=(1, 1), b=(1, 1), c=(huge, -1)))["c"] == 2 * MOST_SIGMA
    assert divergences(directed(a=(0, 0), b=(0, 0), c=(huge, 0)))["c"] == MOST_SIGMA


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_sites_do_not_diverge(count):
    found = dict(list(directed(a=(1, 1), b=(9, -1)).items())[:count])
    assert set(divergences(found).values()) == {0.0}
