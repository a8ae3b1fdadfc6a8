import numpy as np
import pytest
from compressible import property_test
from hypothesis import given
from hypothesis import strategies as st

from fedvox.compression.pack import (
    bit_planes,
    byte_planes,
    expand,
    expand_exactly,
    from_bit_planes,
    from_byte_planes,
    squeeze,
)
from fedvox.errors import CodecError


@property_test
@given(st.binary(max_size=300))
def test_what_is_squeezed_comes_back(raw):
    assert expand(squeeze(raw), len(raw)) == raw
    assert expand_exactly(squeeze(raw), len(raw)) == raw


@property_test
@given(st.integers(1, 8), st.integers(0, 70), st.integers(0, 2**32))
def test_codes_come_back_from_their_bit_planes(bits, count, seed):
    codes = np.random.default_rng(seed).integers(0, 2**bits, count).astype(np.uint8)
    planes = bit_planes(codes, bits)
    assert len(planes) == bits
    np.testing.assert_array_equal(from_bit_planes(planes, count), codes)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 37])
def test_numbers_come_back_from_their_byte_planes(dtype, count):
    numbers = np.random.default_rng(0).integers(0, 255, count).astype(dtype) * 3
    raw = expand(byte_planes(numbers), numbers.nbytes)
    back = from_byte_planes(raw, dtype)
    assert back.dtype == numbers.dtype
    np.testing.assert_array_equal(back, numbers)


def test_a_bomb_is_refused_before_it_bursts():
    bomb = squeeze(bytes(10_000_000))
    with pytest.raises(CodecError, match="another length"):
        expand(bomb, 1000)


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (squeeze(b"abcd") + b"x", 4),
        (squeeze(b"abcd")[:-1], 4),
        (squeeze(b"abcd"), 5),
        (squeeze(b"abcd"), 3),
        (b"", 0),
        (b"\xff" * 20, 20),
    ],
)
def test_another_stream_is_refused(packed, size):
    with pytest.raises(CodecError, match="part of the message"):
        expand_exactly(packed, size)
