import math

import numpy as np
import pytest
from scipy import stats

from fedvox.metrics.interval import FEWEST, mean_interval, spread


@pytest.mark.parametrize("cases", [3, 5, 10, 20, 40])
@pytest.mark.parametrize("shape", [(5, 2), (19, 1), (9, 1), (30, 1.5), (0.8, 0.4), (1, 6)])
def test_interval_covers_the_mean_of_skewed_scores(shape, cases):
    """Dice-like scores with means of 0.14 to 0.95; 2000 draws place a coverage to 0.011."""
    draw = np.random.default_rng(0).beta(*shape, size=(2000, cases))
    mean = shape[0] / sum(shape)
    ends = [mean_interval(cases, float(x.mean()), float(x.std(ddof=1))) for x in draw]
    assert np.mean([low <= mean <= high for low, high in ends]) >= 0.915


def test_interval_of_many_cases_is_the_t_interval():
    low, high = mean_interval(400, 0.5, 0.1)
    half = stats.t.ppf(0.975, 399) * 0.1 / 20
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)


def test_interval_reaches_further_to_the_middle_and_stays_in_the_unit_interval():
    low, high = mean_interval(5, 0.97, 0.05)
    assert 0 < low < 0.97 < high < 1
    assert 0.97 - low > high - 0.97
    low, high = mean_interval(3, 1e-9, 1e-3)
    assert 0 <= low < 1e-9 < high <= 1


@pytest.mark.parametrize(
    ("cases", "mean", "sd"),
    [
        (0, math.nan, math.nan),
        (1, 0.5, math.nan),
        (FEWEST - 1, 0.5, 0.1),
        (5, 0.0, 0.0),
        (5, 0.7, 0.0),
        (5, 1.0, 0.0),
        (5, 0.7, math.nan),
        (3, 0.7, spread([0.7, 0.1 * 7, 0.7])),
    ],
)
def test_too_few_cases_or_no_spread_have_no_interval(cases, mean, sd):
    assert all(math.isnan(end) for end in mean_interval(cases, mean, sd))


def test_spread_is_that_of_a_sample_in_any_order():
    assert spread([0.1, 0.2, 0.6]) == spread([0.6, 0.1, 0.2]) == pytest.approx(0.26457513)
    assert math.isnan(spread([0.5])) and math.isnan(spread([]))
