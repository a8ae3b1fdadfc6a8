"""Clipping, noise and what they cost, against closed forms."""

import dataclasses
import math
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.errors import ConfigError, DataError
from fedvox.privacy.accountant import Spend, check_rounds, spent
from fedvox.privacy.gaussian import clipped, noised
from fedvox.privacy.noise_settings import NoiseSettings, tighter

entries = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=6)


def norm(arrays) -> float:
    return math.sqrt(sum(float(np.square(array).sum()) for array in arrays.values()))


@given(entries, entries, st.floats(1e-6, 1e6))
def test_no_update_is_longer_than_the_clip_and_directions_stay(first, second, clip):
    update = {"a": np.array(first), "b": np.array(second)}
    short = clipped(update, clip)
    assert norm(short) <= clip * (1 + 1e-9)
    assert all((np.sign(short[n]) * np.sign(array) >= 0).all() for n, array in update.items())


def test_a_short_update_stays_as_it_is():
    update = {"a": np.array([0.3, -0.4])}
    assert np.array_equal(clipped(update, 0.6)["a"], update["a"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(DataError, match="not finite"):
        clipped({"a": np.array([1.0, value], np.float32)}, 1.0)


def test_noise_has_the_stated_deviation_about_the_clipped_step():
    settings = NoiseSettings(clip=0.5, noise=3.0)
    received = {"w": np.full(40_000, 7.0, np.float64)}
    weights = {"w": received["w"] + 1.0}
    sent = noised(weights, received, settings, np.random.default_rng(0))["w"] - received["w"]
    step = 0.5 / math.sqrt(40_000)
    assert abs(sent.mean() - step) < 4 * 1.5 / math.sqrt(40_000)
    assert abs(sent.std() / 1.5 - 1) < 0.02


def test_every_tensor_keeps_its_type_and_every_entry_gets_noise():
    received = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float16)}
    sent = noised(received, received, NoiseSettings(), np.random.default_rng(1))
    assert {name: array.dtype for name, array in sent.items()} == {
        "a": np.float32,
        "b": np.float16,
    }
    assert all(array.all() for array in sent.values())


def test_other_tensors_than_those_received_are_refused():
    with pytest.raises(ConfigError, match="nothing was sent"):
        noised({"a": np.zeros(2)}, {}, NoiseSettings(), np.random.default_rng(0))


def test_epsilon_of_one_update_lies_between_the_known_bounds():
    # Balle and Wang, ICML 2018: the exact epsilon of one Gaussian mechanism with multiplier 2
    # at delta 1e-5 is 1.87; the accountant's is an upper bound.
    assert 1.87 < spent([Spend(4.0)], 1e-5) < 2.5


def test_spending_adds_up_whatever_the_order_and_grows_with_each_update():
    noises = [Spend(noise) for noise in (4.0, 8.0, 4.0, 16.0)]
    assert spent(noises, 1e-5) == pytest.approx(spent(noises[::-1], 1e-5))
    course = [spent(noises[:count], 1e-5) for count in range(5)]
    assert course[0] == 0 and all(before < after for before, after in pairwise(course))


def test_spending_agrees_with_the_accountant_step_by_step():
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    for _ in range(12):
        accountant.step(noise_multiplier=3.0, sample_rate=1.0)
    assert spent([Spend(6.0)] * 12, 1e-6) == pytest.approx(accountant.get_epsilon(1e-6), rel=1e-9)


def test_without_the_accountant_nothing_is_guessed(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(ConfigError, match=r"opacus; pip install -r requirements\.txt"):
        spent([Spend(1.0)], 1e-5)


def test_a_run_beyond_its_budget_is_refused_with_remedies_that_work():
    settings = NoiseSettings(noise=1.0, epsilon=8.0)
    with pytest.raises(ConfigError) as refused:
        check_rounds(settings, 8, Spend(1.0))
    told = str(refused.value)
    noise = float(told.partition("'privacy.noise' to ")[2].split()[0])
    epsilon = float(told.rpartition("'privacy.epsilon' to ")[2])
    check_rounds(NoiseSettings(noise=noise, epsilon=8.0), 8, Spend(noise))
    check_rounds(NoiseSettings(noise=1.0, epsilon=epsilon), 8, Spend(1.0))
    with pytest.raises(ConfigError, match=r"lower 'training\.rounds' to 8, raise"):
        check_rounds(NoiseSettings(noise=4.0, epsilon=7.1), 9, Spend(4.0))
    check_rounds(NoiseSettings(noise=4.0, epsilon=7.1), 8, Spend(4.0))


def test_a_policy_for_the_whole_site_holds_against_a_job_for_cases_and_not_the_other_way():
    whole = NoiseSettings(unit="site", clip=1.0, noise=4.0, delta=1e-5, epsilon=8.0)
    cases = NoiseSettings(unit="case", clip=2.0, noise=6.0, delta=1e-6, epsilon=9.0)
    assert tighter(whole, cases) == dataclasses.replace(whole, delta=1e-6)
    with pytest.raises(ConfigError, match=r"'privacy\.unit' to case in the job, or leave out"):
        tighter(cases, whole)


def test_steps_cost_what_the_accountant_says_and_compose_with_updates():
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    for _ in range(20):
        accountant.step(noise_multiplier=1.5, sample_rate=0.1)
    steps = [Spend(1.5, rate=0.1, steps=10)] * 2
    assert spent(steps, 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)
    both = spent([*steps, Spend(4.0)], 1e-5)
    assert max(spent(steps, 1e-5), spent([Spend(4.0)], 1e-5)) < both
    assert both < spent(steps, 1e-5) + spent([Spend(4.0)], 1e-5)


def test_of_two_wishes_the_stricter_holds():
    own = NoiseSettings(clip=1.0, noise=4.0, delta=1e-5, epsilon=8.0)
    other = NoiseSettings(clip=2.0, noise=6.0, delta=1e-6, epsilon=9.0)
    assert tighter(own, None) == own
    assert tighter(own, other) == NoiseSettings(clip=1.0, noise=6.0, delta=1e-6, epsilon=8.0)
    assert tighter(other, own) == tighter(own, other)
