import numpy as np
import pytest
from compressible import property_test
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedvox.compression.quantise import Quantised, dequantise, quantise

HUGE = float(np.finfo(np.float32).max)


def draw(values: np.ndarray, bits: int, block: int, seed: int = 0) -> np.ndarray:
    quantised = quantise(values, bits, block, np.random.default_rng(seed))
    return dequantise(quantised, bits, block)


@property_test
@given(
    hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-HUGE, HUGE, width=32)),
    st.integers(2, 8),
    st.integers(1, 20),
)
def test_values_stay_finite_in_their_blocks_range_and_keep_their_sign(values, bits, block):
    result = draw(values, bits, block)
    assert result.dtype == np.float32 and result.shape == values.shape
    for start in range(0, len(values), block):
        magnitude = np.abs(values[start : start + block])
        back = np.abs(result[start : start + block])
        assert (back >= magnitude.min()).all() and (back <= magnitude.max()).all()
    np.testing.assert_array_equal(np.signbit(result), np.signbit(values))


@property_test
@given(st.integers(2, 8), st.floats(-HUGE, HUGE, width=32), st.integers(1, 40))
def test_equal_values_are_exact(bits, value, count):
    values = np.full(count, value, np.float32)
    np.testing.assert_array_equal(draw(values, bits, 16), values)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_mean_of_many_draws_is_the_value(bits):
    values = np.random.default_rng(1).uniform(1, 3.9, 64).astype(np.float32)
    values[::3] *= -1
    draws = np.stack([draw(values, bits, 16, seed) for seed in range(4000)])
    error = np.abs(draws.mean(axis=0, dtype=np.float64) - values)
    assert (error <= 5 * draws.std(axis=0) / np.sqrt(4000) + 1e-6).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("power", [1, 3, 9])
def test_a_message_is_nearer_to_the_values_than_nothing_however_heavy_the_tails(bits, power):
    values = (np.random.default_rng(1).normal(size=20_000) ** power).astype(np.float32)
    kept = values[np.abs(values) > np.quantile(np.abs(values), 0.9)]
    error = np.square(draw(kept, bits, 512).astype(np.float64) - kept).sum()
    assert error < (0.97 if bits == 2 else 0.6) * np.square(kept.astype(np.float64)).sum()


def test_a_value_beyond_the_reach_is_cut_where_it_would_cost_the_others_more():
    alone = np.array([1, 1, 1, 100], np.float32)
    assert draw(alone, 2, 4).tolist() == [1, 1, 1, 100]
    among = np.array([1, 8, *[3] * 30], np.float32)
    assert draw(among, 2, 32).max() < 8 and draw(among, 2, 32).min() > 0
    assert draw(among, 3, 32).max() == 8


def test_levels_of_eight_bits_are_a_127th_of_the_range_apart():
    values = np.linspace(1, 2, 1000, dtype=np.float32)
    assert np.abs(draw(values, 8, 1000) - values).max() <= 1 / 127 + 1e-6


def test_two_bits_are_the_sign_and_one_of_the_two_extremes():
    values = np.array([-1, 3, 2, -2, -5, 9], np.float32)
    result = draw(values, 2, 4)
    assert set(np.abs(result[:4])) <= {1, 3} and set(np.abs(result[4:])) <= {5, 9}


def test_the_same_seed_draws_the_same():
    values = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(draw(values, 3, 64, 5), draw(values, 3, 64, 5))
    assert (draw(values, 3, 64, 5) != draw(values, 3, 64, 6)).any()


def test_any_code_between_extreme_ranges_stays_finite():
    codes = np.arange(256, dtype=np.uint8)
    ranges = np.array([HUGE], np.float32)
    values = dequantise(Quantised(codes, ranges * np.float32(0.5), ranges), 8, 256)
    assert np.isfinite(values).all()
    assert values.max() == ranges[0] and values.min() == -ranges[0]


@pytest.mark.parametrize("bits", [2, 3, 7, 8])
def test_the_smallest_and_the_largest_number_may_share_a_block(bits):
    values = np.array([1e-45, HUGE, 1.0, -1e-45], np.float32)
    quantised = quantise(values, bits, 4, np.random.default_rng(0))
    assert (quantised.low <= quantised.high).all()
    result = dequantise(quantised, bits, 4)
    assert np.isfinite(result).all() and (np.abs(result) <= HUGE).all()
    np.testing.assert_array_equal(np.signbit(result), np.signbit(values))
