"""The bytes of a message, and the tensors that they stand for.

All numbers are little-endian::

    header   "FVXC", version, bits, small, chunk, block, first 16 bytes of the schema's SHA-256
    whole    the small tensors in the order of their names, as they are
    section  kind of its positions (0: none are sent), number of values, and then with a length
             each: positions, and bit planes of the codes (sign first) and byte planes of the
             blocks' lowest and highest levels, or byte planes of exact values
    end      CRC-32 of all before

Names, shapes and the number of sections follow from the schema, which both ends know. What a
message claims is checked before it is believed: ``decode`` takes the memory of the dense tensors,
and beside it for each thread what one section of 2^20 entries needs.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from fedvox.compression.compress import Compressed, Part, check_finite
from fedvox.compression.layout import Layout, flatten
from fedvox.compression.pack import (
    Bytes,
    bit_planes,
    byte_planes,
    expand_exactly,
    from_bit_planes,
    from_byte_planes,
)
from fedvox.compression.positions import pack_positions, unpack_positions
from fedvox.compression.quantise import Quantised, blocks_of
from fedvox.compression.reader import Reader
from fedvox.compression.schema import Schema
from fedvox.compression.settings import BITS, EXACT, SECTION, Coding
from fedvox.compression.threads import each
from fedvox.errors import CodecError

MAGIC, VERSION = b"FVXC", 1
HEADER = struct.Struct("<4sBBIII16s")
HEAD = struct.Struct("<BI")
LENGTH = struct.Struct("<I")
EMPTY = 0
NOWHERE = np.zeros(0, np.uint32)


def encode(compressed: Compressed, threads: int = 1) -> bytes:
    """The message.

    Args:
        compressed: what is sent.
        threads: that work at the same time; the bytes do not depend on them.
    """
    coding, schema = compressed.coding, compressed.schema
    layout = Layout(schema, coding.small, coding.chunk)
    numbers = coding.bits, coding.small, coding.chunk, coding.block
    pieces = [HEADER.pack(MAGIC, VERSION, *numbers, schema.digest)]
    for tensor in layout.whole:
        array = compressed.whole[tensor.name]
        pieces.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    pieces += each(
        lambda section: _pack(compressed.parts[section], layout.size(section), coding.bits),
        layout.sections,
        threads,
    )
    check = 0
    for piece in pieces:
        check = zlib.crc32(piece, check)
    return b"".join([*pieces, LENGTH.pack(check)])


def decode(data: bytes, schema: Schema, threads: int = 1) -> dict[str, np.ndarray]:
    """The dense tensors of a message, 0 where nothing was sent.

    Args:
        data: from anybody.
        schema: of the tensors that it should hold.
        threads: that work at the same time.

    Raises:
        CodecError: the bytes are no intact message of these tensors.

    Example:
        >>> from fedvox.compression.compress import compress
        >>> update = {"w": np.array([0.5, -3.0, 0.1, 2.0], np.float32)}
        >>> data = encode(compress(update, Coding(keep=0.5, small=0)))
        >>> decode(data, Schema.of(update))["w"].tolist()
        [0.0, -3.0, 0.0, 2.0]
    """
    reader = Reader(data)
    coding = _read_header(reader, schema)
    layout = Layout(schema, coding.small, coding.chunk)
    whole = _read_whole(reader, layout)
    claims = [_read_section(reader, coding.bits) for _ in layout.sections]
    if reader.left:
        raise CodecError("the message is longer than its tensors need; send it again")
    result = {
        tensor.name: whole.get(tensor.name, np.zeros(tensor.shape, tensor.dtype))
        for tensor in schema.tensors
    }
    flat = flatten(result)

    def fill(section: int) -> None:
        part = _unpack(claims[section], layout.size(section), layout.wide, coding)
        for place in part.tensors(layout, section, coding):
            flat[place.name][place.row][place.positions] = place.values

    each(fill, layout.sections, threads)
    return result


@dataclass(frozen=True)
class Claim:
    """What a message says of one section, not yet believed."""

    kind: int
    count: int
    pieces: list[memoryview]


def _pack(part: Part, size: int, bits: int) -> bytes:
    """The bytes of one section."""
    count = len(part.positions)
    if not count:
        return HEAD.pack(EMPTY, 0)
    kind, positions = pack_positions(part.positions, size)
    pieces = [positions]
    if isinstance(part.content, Quantised):
        pieces += bit_planes(part.content.codes, bits)
        pieces.append(byte_planes(np.concatenate([part.content.low, part.content.high])))
    else:
        pieces.append(byte_planes(part.content))
    framed = (LENGTH.pack(len(piece)) + piece for piece in pieces)
    return HEAD.pack(kind, count) + b"".join(framed)


def _read_header(reader: Reader, schema: Schema) -> Coding:
    magic, version, bits, small, chunk, block, digest = HEADER.unpack(reader.take(HEADER.size))
    if magic != MAGIC:
        raise CodecError("these bytes are no compressed message; send one")
    if version != VERSION:
        raise CodecError(
            f"the message is of version {version}, this end knows {VERSION}; "
            "install the same version of FedVox at both ends"
        )
    if digest != schema.digest:
        raise CodecError("the message is of other tensors; use the same job at both ends")
    if (bits not in BITS) or chunk > SECTION or not 0 < block <= SECTION:
        raise CodecError(f"no message has {bits} bits, runs of {chunk} and blocks of {block}")
    return Coding(bits=bits, small=small, chunk=chunk, block=block)


def _read_whole(reader: Reader, layout: Layout) -> dict[str, np.ndarray]:
    """The small tensors."""
    whole = {}
    for tensor in layout.whole:
        dtype = np.dtype(tensor.dtype)
        raw = reader.take(tensor.entries * dtype.itemsize)
        numbers = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
        whole[tensor.name] = numbers.reshape(tensor.shape)
    check_finite(whole)
    return whole


def _read_section(reader: Reader, bits: int) -> Claim:
    kind, count = HEAD.unpack(reader.take(HEAD.size))
    if kind == EMPTY:
        return Claim(kind, 0, [])
    pieces = 2 if bits == EXACT else bits + 2
    lengths = (LENGTH.unpack(reader.take(LENGTH.size))[0] for _ in range(pieces))
    return Claim(kind, count, [reader.take(length) for length in lengths])


def _unpack(claim: Claim, size: int, wide: str, coding: Coding) -> Part:
    """One section, checked.

    Raises:
        CodecError: see :func:`decode`.
    """
    if claim.kind == EMPTY:
        return Part(NOWHERE, NOWHERE.astype(wide))
    if not 0 < claim.count <= size:
        raise CodecError("a section of the message holds more values than it has room for")
    positions, *planes, numbers = claim.pieces
    where = unpack_positions(claim.kind, positions, size, claim.count)
    if coding.bits == EXACT:
        return Part(where, _finite(numbers, claim.count, wide))
    codes = from_bit_planes(planes, claim.count)
    levels = _finite(numbers, 2 * blocks_of(claim.count, coding.block), "float32").reshape(2, -1)
    low, high = levels
    if np.signbit(levels).any() or (low > high).any():
        raise CodecError("the levels of a block are upside down; send the message again")
    return Part(where, Quantised(codes, low, high))


def _finite(piece: Bytes, count: int, dtype: str) -> np.ndarray:
    """As many finite numbers from squeezed byte planes."""
    raw = expand_exactly(piece, count * np.dtype(dtype).itemsize)
    numbers = from_byte_planes(raw, dtype)
    if not np.isfinite(numbers).all():
        raise CodecError("a number of the message is not finite; send it again")
    return numbers
