"""Exactly the k largest, the first of equal ones, whatever the numbers."""

import numpy as np
import pytest
from compressible import property_test
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedvox.compression import selection
from fedvox.compression.selection import (
    STRIDE,
    find_cut,
    kept_count,
    magnitude_bits,
    select,
    select_in_chunks,
)

FEW = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 1e-45, 3.4e38, 1.0000001])
ROWS = hnp.arrays(
    np.float32,
    st.integers(1, 60),
    elements=FEW | st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def plain(row: np.ndarray, k: int) -> np.ndarray:
    """The rule itself: sorted by magnitude, the first of equal ones first, no zeros."""
    order = np.argsort(-np.abs(row.astype(np.float64)), kind="stable")[:k]
    return np.sort(order[row[order] != 0])


def taken(row: np.ndarray, k: int, section: int) -> np.ndarray:
    """Positions that are taken of a row cut into sections."""
    sections = range(-(-len(row) // section))

    def bits(number: int) -> np.ndarray:
        return magnitude_bits(row[number * section : (number + 1) * section])

    cut = find_cut(bits, sections, k, lambda work, items: [work(item) for item in items])
    return np.concatenate([select(bits(n), cut, n) + n * section for n in sections])


@property_test
@given(ROWS, st.integers(1, 60), st.integers(1, 25))
def test_the_k_largest_are_taken_whatever_the_sections(row, k, section):
    k = min(k, len(row))
    np.testing.assert_array_equal(taken(row, k, section), plain(row, k))


@pytest.mark.parametrize("k", [1, 500, 20_000, 150_000])
def test_a_long_row_of_which_a_sample_is_taken(k):
    row = np.random.default_rng(0).standard_normal(200_000, np.float32)
    row[::7] = 1.5
    np.testing.assert_array_equal(taken(row, k, 70_000), plain(row, k))


def test_where_the_sample_misleads_all_are_counted(monkeypatch):
    floors = []
    coarse = selection._coarse
    monkeypatch.setattr(
        selection, "_coarse", lambda bits, floor: floors.append(floor) or coarse(bits, floor)
    )
    row = np.linspace(0.1, 1.0, 200_000, dtype=np.float32)
    row[::STRIDE] = 9.0
    np.testing.assert_array_equal(taken(row, 20_000, 200_000), plain(row, 20_000))
    assert floors == [magnitude_bits(np.float32([9.0]))[0], 0]


@property_test
@given(ROWS, st.integers(2, 20), st.floats(0.01, 1.0))
def test_each_run_gives_its_largest(row, chunk, keep):
    runs = range(0, len(row), chunk)
    expected = [
        plain(row[start : start + chunk], kept_count(keep, len(row[start : start + chunk]))) + start
        for start in runs
    ]
    positions = select_in_chunks(magnitude_bits(row), keep, chunk)
    np.testing.assert_array_equal(positions, np.concatenate(expected))


def test_neighbouring_floats_are_told_apart():
    row = np.full(100_000, 1.0, np.float32)
    row[77_777] = np.nextafter(np.float32(1), np.float32(2))
    row[11] = -row[77_777]
    assert taken(row, 2, 4096).tolist() == [11, 77_777]
    assert taken(row, 4, 4096).tolist() == [0, 1, 11, 77_777]


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_finds_nothing(value):
    row = np.ones(50, np.float32)
    row[31] = value
    bits = magnitude_bits(row)
    assert find_cut(lambda section: bits, range(1), 3, lambda w, i: [w(0)]) is None
    assert select_in_chunks(bits, 0.1, 10) is None


def test_share_rounds_to_at_least_one_entry():
    counts = [kept_count(*pair) for pair in [(0.001, 10), (0.07, 100), (1.0, 7), (0.5, 0)]]
    assert counts == [1, 7, 7, 0]
