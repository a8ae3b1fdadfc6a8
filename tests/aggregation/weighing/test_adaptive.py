import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Update
from fedvox.aggregation.weighing import build_weighing
from fedvox.aggregation.weighing.settings import AdaptiveSettings

OFF = AdaptiveSettings(quality=0, dice=0, divergence=0, least=0, most=1, smoothing=0)
ALIKE = {"w": [1.0, 0.0]}
SITES = dict.fromkeys("abcd", ALIKE)


def only(**settings) -> AdaptiveSettings:
    """One term or bound, all others off."""
    return dataclasses.replace(OFF, **settings)


def shares(settings, given_round, memory=None) -> tuple[dict[str, float], Memory]:
    """Shares that sum to 1, and what is remembered."""
    found, kept = build_weighing(settings)(*given_round, memory or Memory())
    total = sum(share.weight for share in found.values())
    return {site: share.weight / total for site, share in found.items()}, kept


CLAIMS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(
        st.integers(1, 100_000),
        st.floats(0, 1),
        st.floats(0, 1),
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=2),
    ),
    min_size=1,
)


def round_of(claims):
    updates = {
        site: Update(
            site=site,
            arrays={},
            cases=cases,
            quality=quality,
            validation={"mr": (dice, 2)},
            sent=frozenset("w"),
        )
        for site, (cases, quality, dice, _) in claims.items()
    }
    sent = {site: np.float32(own[3]) for site, own in claims.items()}
    return updates, lambda site, name: sent[site], {"w": np.zeros(2, np.float32)}


@given(CLAIMS)
def test_all_terms_off_is_the_weighted_mean_by_cases_bit_for_bit(claims):
    given_round = round_of(claims)
    found, kept = build_weighing(OFF)(*given_round, Memory())
    plain, _ = build_weighing("cases")(*given_round, Memory())
    assert {s: own.weight.hex() for s, own in found.items()} == {
        s: own.weight.hex() for s, own in plain.items()
    }
    assert not kept


SETTINGS = st.builds(
    AdaptiveSettings,
    cases=st.floats(0, 2),
    quality=st.floats(0, 4),
    dice=st.floats(-10, 10),
    divergence=st.floats(-5, 5),
    least_quality=st.floats(0.001, 1),
    least=st.floats(0, 0.2),
    most=st.floats(0.2, 1),
    smoothing=st.floats(0, 0.99),
)


@given(SETTINGS, CLAIMS, CLAIMS)
def test_whatever_sites_claim_and_send_no_share_leaves_its_bounds(settings, first, second):
    _, memory = shares(settings, round_of(first))
    found, _ = shares(settings, round_of(second), memory)
    low, high = min(settings.least, 1 / len(second)), max(settings.most, 1 / len(second))
    assert all(low - 1e-9 <= share <= high + 1e-9 for share in found.values())
    assert sum(found.values()) == pytest.approx(1.0)


def test_each_term_is_a_factor_of_the_formula(sites_of):
    cases = {"a": 40, "b": 10, "c": 20, "d": 20}
    quality = {"a": 0.5, "b": 1.0, "c": 0.8, "d": 0.25}
    dice = {"a": 0.9, "b": 0.5, "c": 0.7, "d": 0.7}
    given_round = sites_of(
        {"a": ALIKE, "b": ALIKE, "c": ALIKE, "d": {"w": [-5.0, 0.0]}},
        cases=cases,
        quality=quality,
        validation={site: {"mr": (own, 2)} for site, own in dice.items()},
    )
    settings = only(cases=0.5, quality=2.0, dice=3.0, divergence=0.25)
    found, _ = build_weighing(settings)(*given_round, Memory())
    apart = {"a": 0.0, "b": 0.0, "c": 0.0, "d": 6.0}  # both robust scores at their largest
    for site, share in found.items():
        assert share.weight == pytest.approx(
            cases[site] ** 0.5
            * quality[site] ** 2
            * math.exp(3 * dice[site])
            * math.exp(-0.25 * apart[site])
        )
        terms = share.terms
        assert (terms["quality"], terms["dice"]) == (quality[site], dice[site])
        assert (terms["divergence"], terms["norm"]) == (apart[site], 5.0 if site == "d" else 1.0)
        assert (
            terms["score"]
            == share.weight
            == math.prod(terms[f"by_{name}"] for name in ("cases", "quality", "dice", "divergence"))
        )
        assert set(terms) >= {"cosine"} and all(map(math.isfinite, terms.values()))


@pytest.mark.parametrize(("sign", "better"), [(1.0, "a"), (-1.0, "d")])
def test_divergence_is_penalised_or_rewarded_by_its_sign(sites_of, sign, better):
    given_round = sites_of({**SITES, "d": {"w": [-5.0, 0.0]}})
    found, _ = shares(only(divergence=sign), given_round)
    assert max(found, key=found.__getitem__) == better
    assert found["d"] / found["a"] == pytest.approx(math.exp(-6 * sign))


def test_a_site_without_validation_counts_as_the_mean_of_the_others(sites_of):
    validation = {"a": {"mr": (0.9, 2)}, "b": {"mr": (0.5, 2)}}
    found, _ = shares(only(dice=2.0), sites_of(dict.fromkeys("abc", ALIKE), validation=validation))
    assert found["c"] / found["b"] == pytest.approx(math.exp(2 * 0.2))
    nobody, _ = shares(only(dice=2.0), sites_of(dict.fromkeys("abc", ALIKE)))
    assert nobody == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_a_site_that_lies_gains_a_bounded_factor_and_never_more_than_most(sites_of):
    settings = AdaptiveSettings(least=0.0, smoothing=0.0)

    def share_of_d(quality: float, dice: float, most: float) -> float:
        claims = {"quality": {**dict.fromkeys("abc", 0.7), "d": quality}}
        told = {**dict.fromkeys("abc", 0.6), "d": dice}
        claims["validation"] = {site: {"mr": (own, 2)} for site, own in told.items()}
        bounds = dataclasses.replace(settings, most=most)
        return shares(bounds, sites_of(SITES, **claims))[0]["d"]

    honest, lying = share_of_d(0.0, 0.0, 1.0), share_of_d(1.0, 1.0, 1.0)
    odds = (lying / (1 - lying)) / (honest / (1 - honest))
    most = math.exp(settings.dice) / settings.least_quality**settings.quality
    assert odds == pytest.approx(most)
    assert share_of_d(1.0, 1.0, 0.3) == pytest.approx(0.3)


def test_a_short_update_or_one_like_the_others_gains_nothing(sites_of):
    changes = {"a": {"w": [1.0, 0.3]}, "b": {"w": [1.0, -0.3]}, "c": {"w": [0.9, 0.1]}}
    settings = only(divergence=3.0)
    for tame in ([1e-3, 0.0], [0.97, 0.03]):
        found, _ = shares(settings, sites_of({**changes, "d": {"w": tame}}))
        assert found["d"] <= max(found.values())
        assert found["d"] <= 1 / 4 + 1e-9 or found["d"] == max(found.values())
        terms = build_weighing(settings)(*sites_of({**changes, "d": {"w": tame}}), Memory())[0]
        assert terms["d"].terms["by_divergence"] <= 1.0


def test_the_average_follows_its_recurrence_and_one_that_was_away_keeps_its_own(sites_of):
    settings = only(smoothing=0.75)
    present = dict.fromkeys("abc", ALIKE)
    first, memory = shares(settings, sites_of(present, cases={"a": 8, "b": 4, "c": 4}))
    assert first == {"a": 0.5, "b": 0.25, "c": 0.25}  # new sites start with what they have now
    without, memory = shares(
        settings, sites_of({"a": ALIKE, "b": ALIKE}, cases={"a": 4, "b": 4}), memory
    )
    averages = {"a": 0.75 * 0.5 + 0.25 * 0.5, "b": 0.75 * 0.25 + 0.25 * 0.5, "c": 0.25}
    assert memory.numbers["adaptive"] == pytest.approx(averages)
    total = averages["a"] + averages["b"]
    assert without == pytest.approx({site: averages[site] / total for site in "ab"})
    back, memory = shares(settings, sites_of({"c": ALIKE, "e": ALIKE}, cases=4), memory)
    averages |= {"c": 0.75 * 0.25 + 0.25 * 0.5, "e": 0.5}
    assert memory.numbers["adaptive"] == pytest.approx(averages)
    assert back == pytest.approx({s: averages[s] / (averages["c"] + 0.5) for s in "ce"})
