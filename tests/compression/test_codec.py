"""Bytes in, the same tensors out; bytes of anybody, one kind of error."""

import struct
import zlib

import numpy as np
import pytest
from compressible import CODINGS, TENSORS, property_test
from hypothesis import given

from codec import spoil
from fedvox.compression.codec import HEADER, decode, encode
from fedvox.compression.compress import Compressed, Part, compress
from fedvox.compression.positions import entropy
from fedvox.compression.quantise import Quantised
from fedvox.compression.schema import Schema
from fedvox.compression.settings import SECTION, Coding
from fedvox.errors import CodecError

UPDATE = {
    "norm": np.linspace(-1, 1, 20, dtype=np.float32),
    "weight": np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32),
}
SCHEMA = Schema.of(UPDATE)


SOME = Coding(small=50)


def message(coding: Coding = SOME) -> bytes:
    return encode(compress(UPDATE, coding))


def sealed(body: bytes) -> bytes:
    """With a check sum that is right, so that what lies behind it is tested."""
    return body + struct.pack("<I", zlib.crc32(body))


def same_bits(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert Schema.of(first) == Schema.of(second)
    for name in first:
        assert first[name].tobytes() == second[name].tobytes()


@property_test
@given(TENSORS, CODINGS)
def test_the_receiver_gets_bit_for_bit_what_the_sender_computes(arrays, coding):
    sent = compress(arrays, coding)
    same_bits(decode(encode(sent), Schema.of(arrays)), sent.dense())


@property_test
@given(TENSORS, CODINGS)
def test_the_same_update_makes_the_same_bytes(arrays, coding):
    first, again = (encode(compress(arrays, coding, threads=n), n) for n in (1, 2))
    assert first == again


@pytest.mark.parametrize("coding", [Coding(0.1), Coding(0.01, 8, chunk=1000), Coding(1.0, 32)])
def test_several_sections_come_back_with_any_number_of_threads(coding):
    arrays = {
        "a": np.random.default_rng(0).standard_t(3, SECTION + 99).astype(np.float32),
        "b": np.random.default_rng(1).normal(size=(3, 1, 200)).astype(np.float16),
    }
    sent = compress(arrays, coding)
    data = encode(sent, threads=2)
    assert data == encode(sent)
    same_bits(decode(data, Schema.of(arrays), threads=2), sent.dense())


@pytest.mark.parametrize("keep", [0.01, 0.05, 0.15])
def test_a_million_entries_cost_their_entropy_and_the_values(keep):
    values = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    data = encode(compress({"a": values}, Coding(keep, 2, block=256)))
    scales = 64 * keep / 256
    assert len(data) * 8 / 1e6 < 1.02 * (entropy(keep) + 2 * keep + scales)


def test_what_is_decoded_can_be_written_to_and_does_not_hold_the_message():
    for array in decode(message(), SCHEMA).values():
        array += 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"abc", "damaged"),
        (message()[:-1], "damaged"),
        (message() + b"\0", "damaged"),
        (sealed(b""), "cut off"),
        (sealed(b"PK" + message()[2:-4]), "no compressed message"),
        (sealed(b"FVXC\x02" + message()[5:-4]), "version 2, this end knows 1"),
        (sealed(message()[:-4] + b"\0"), "longer than its tensors"),
        (sealed(message()[:-5]), "cut off"),
        (sealed(message()[: HEADER.size + 30]), "cut off"),
    ],
)
def test_another_message_is_refused_with_its_reason(data, words):
    with pytest.raises(CodecError, match=words):
        decode(data, SCHEMA)


def test_a_message_of_other_tensors_is_refused():
    other = Schema.of({**UPDATE, "norm": np.zeros(21, np.float32)})
    with pytest.raises(CodecError, match="other tensors; use the same job"):
        decode(message(), other)


@pytest.mark.parametrize(
    "numbers",
    [(1, 50, 0, 256), (9, 50, 0, 256), (0, 50, 0, 256), (2, 50, 2**21, 256), (2, 50, 0, 0)],
)
def test_numbers_that_no_message_has_are_refused(numbers):
    header = HEADER.pack(b"FVXC", 1, *numbers, SCHEMA.digest)
    with pytest.raises(CodecError, match="no message has"):
        decode(sealed(header + message()[HEADER.size : -4]), SCHEMA)


def test_a_number_of_a_small_tensor_that_is_not_finite_is_refused():
    start = HEADER.size
    nan = np.float32(np.nan).tobytes()
    with pytest.raises(CodecError, match="'norm' holds NaN"):
        decode(sealed(message()[:start] + nan + message()[start + 4 : -4]), SCHEMA)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (2.0, 1.0, "upside down"),
        (-1.0, 1.0, "upside down"),
        (0.0, -0.0, "upside down"),
        (1.0, np.inf, "not finite"),
        (np.nan, 1.0, "not finite"),
    ],
)
def test_levels_that_no_block_has_are_refused(low, high, words):
    levels = (np.array([level], np.float32) for level in (low, high))
    content = Quantised(np.array([7, 8], np.uint8), *levels)
    part = Part(np.array([5, 9], np.uint32), content)
    whole = {"norm": UPDATE["norm"]}
    with pytest.raises(CodecError, match=words):
        decode(encode(Compressed(SCHEMA, SOME, whole, [part])), SCHEMA)


@pytest.mark.parametrize("count", [0, 1, 3, 1201])
def test_another_number_of_values_than_there_are_positions_is_refused(count):
    whole = {"norm": UPDATE["norm"]}
    part = Part(np.array([5, 9], np.uint32), np.ones(2, np.float32))
    body = encode(Compressed(SCHEMA, Coding(bits=32, small=50), whole, [part]))[:-4]
    place = HEADER.size + UPDATE["norm"].nbytes + 1
    body = body[:place] + struct.pack("<I", count) + body[place + 4 :]
    with pytest.raises(CodecError, match=r"room for|do not fit|another length"):
        decode(sealed(body), SCHEMA)


@pytest.mark.parametrize(
    "coding",
    [Coding(0.02, small=50), Coding(0.3, 5, small=50), Coding(0.1, 32, small=50), Coding(chunk=64)],
)
def test_corrupted_messages_are_refused_or_stand_for_finite_tensors(coding):
    """Bits, numbers and lengths changed, cut or repeated, under a check sum that is right."""
    body, end = message(coding)[:-4], message(coding)[-4:]
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        spoilt = spoil(body, generator)
        try:
            result = decode(sealed(spoilt), SCHEMA)
        except CodecError:
            refused += 1
        else:
            assert all(np.isfinite(array).all() for array in result.values())
        if spoilt != body:
            with pytest.raises(CodecError, match="damaged"):
                decode(spoilt + end, SCHEMA)
    assert refused > 250
