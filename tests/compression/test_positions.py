"""Positions come back, cost about their entropy, and false ones are refused."""

import numpy as np
import pytest
from compressible import property_test
from hypothesis import given
from hypothesis import strategies as st

from fedvox.compression.pack import byte_planes, squeeze
from fedvox.compression.positions import (
    BITMAP,
    BYTES,
    PAIRS,
    entropy,
    pack_positions,
    unpack_positions,
)
from fedvox.errors import CodecError

SIZE = 2**20


def random_positions(share: float, size: int = SIZE) -> np.ndarray:
    return np.flatnonzero(np.random.default_rng(3).random(size) < share).astype(np.uint32)


@property_test
@given(
    st.integers(1, 3000).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))
    )
)
def test_any_positions_come_back(case):
    size, chosen = case
    positions = np.array(sorted(chosen), np.uint32)
    kind, packed = pack_positions(positions, size)
    back = unpack_positions(kind, packed, size, len(positions))
    np.testing.assert_array_equal(back, positions)


@pytest.mark.parametrize("chosen", [[0], [SIZE - 1], [0, SIZE - 1], [254, 509, 764, 1020, 70_000]])
def test_long_gaps_come_back(chosen):
    positions = np.array(chosen, np.uint32)
    kind, packed = pack_positions(positions, SIZE)
    assert unpack_positions(kind, packed, SIZE, len(chosen)).tolist() == chosen


@pytest.mark.parametrize(
    ("share", "excess"),
    [
        (0.0001, 1.25),  # 100 positions: the table of the Huffman code counts
        (0.001, 1.03),
        (0.003, 1.03),
        (0.01, 1.03),
        (0.05, 1.03),
        (0.12, 1.03),
        (0.15, 1.03),
        (0.3, 1.03),
        (0.5, 1.03),
        (0.9, 1.03),
    ],
)
def test_random_positions_cost_little_more_than_their_entropy(share, excess):
    positions = random_positions(share)
    _, packed = pack_positions(positions, SIZE)
    bound = SIZE * entropy(len(positions) / SIZE) / 8
    assert 0.98 * bound < len(packed) < excess * bound


def bitmap(chosen: list[int], size: int = 16) -> bytes:
    mask = np.zeros(size, bool)
    mask[chosen] = True
    return squeeze(np.packbits(mask))


def gaps(numbers: list[int], dtype: str = "uint8") -> bytes:
    return byte_planes(np.array(numbers, dtype))


@pytest.mark.parametrize(
    ("kind", "packed", "words"),
    [
        (BITMAP, bitmap([1]), "do not fit"),
        (BITMAP, bitmap([1, 2, 3]), "do not fit"),
        (BITMAP, bitmap([1, 2], 24), "another length"),
        (BYTES, gaps([1]), "do not fit"),
        (BYTES, gaps([1, 2, 3]), "another length"),
        (BYTES, gaps([1, 255]), "cut off"),
        (BYTES, gaps([]), "cut off"),
        (BYTES, gaps([3, 12]), "do not fit"),
        (BYTES, gaps([255, 255]), "cut off"),
        (PAIRS, gaps([1, 2, 3]), "cut off"),
        (PAIRS, gaps([1, 65534], "uint16"), "do not fit"),
        (7, bitmap([1, 2]), "kind 7"),
        (0, b"", "kind 0"),
    ],
)
def test_positions_that_cannot_be_are_refused(kind, packed, words):
    with pytest.raises(CodecError, match=words):
        unpack_positions(kind, packed, 16, 2)
