"""Rising positions as bytes: a bitmap, or the gaps between them, whichever is shorter.

Of random positions with density p no code needs fewer than ``H(p)`` bits per entry,
``H(p) = -p log2 p - (1 - p) log2 (1 - p)``. Gaps are then geometric, and a Huffman code of them is
within a few percent of that up to p of about a third, one of the bitmap's bytes above. A gap beyond
a byte is sent as so many 255 before the rest, which costs nothing for a geometric law; where nearly
every gap is, two bytes per gap are shorter.
"""

import math

import numpy as np

from fedvox.compression.pack import (
    Bytes,
    byte_planes,
    expand,
    expand_exactly,
    from_byte_planes,
    squeeze,
)
from fedvox.errors import CodecError

BITMAP, BYTES, PAIRS = 1, 2, 3
GAPS = {BYTES: "uint8", PAIRS: "uint16"}


def entropy(share: float) -> float:
    """``H(p)``, bits per entry that positions of this density need at least.

    Example:
        >>> entropy(0.5), round(entropy(0.1), 3)
        (1.0, 0.469)
    """
    rest = 1.0 - share
    return -sum(p * math.log2(p) for p in (share, rest) if p > 0)


def pack_positions(positions: np.ndarray, size: int) -> tuple[int, bytes]:
    """The one of the codes that suit the density which is shorter for the first eighth.

    Args:
        positions: rising, from 0 to ``size - 1``, at least one.
        size: entries of the section.

    Returns:
        The kind of code, and the bytes.
    """
    share = len(positions) / size
    suited = {BITMAP: share >= 1 / 8, BYTES: 1 / 2048 < share < 1 / 2, PAIRS: share < 1 / 128}
    kinds = [kind for kind, suits in suited.items() if suits]
    if len(kinds) > 1:  # a part of the positions tells which code is shorter
        part = positions[: max(1, len(positions) // 8)]
        kinds.sort(key=lambda kind: len(_pack(part, int(part[-1]) + 1, kind)))
    return kinds[0], _pack(positions, size, kinds[0])


def unpack_positions(kind: int, packed: Bytes, size: int, count: int) -> np.ndarray:
    """The inverse of :func:`pack_positions`.

    Args:
        kind: of the code.
        packed: the bytes.
        size: entries of the section.
        count: number of positions that there must be.

    Raises:
        CodecError: another number of positions, one beyond the section, no such code.
    """
    if kind == BITMAP:
        bitmap = np.frombuffer(expand_exactly(packed, -(-size // 8)), np.uint8)
        mask = np.unpackbits(bitmap, count=size).view(bool)
        positions = np.flatnonzero(mask)
    elif kind in GAPS:
        positions = _unpack_gaps(kind, packed, size, count)
    else:
        raise CodecError(f"positions of kind {kind} are unknown; update FedVox at both ends")
    if len(positions) != count or positions[-1] >= size:
        raise CodecError("the positions of the message do not fit the tensors; send it again")
    return positions


def _pack(positions: np.ndarray, size: int, kind: int) -> bytes:
    return _pack_bitmap(positions, size) if kind == BITMAP else _pack_gaps(positions, kind)


def _pack_bitmap(positions: np.ndarray, size: int) -> bytes:
    mask = np.zeros(size, bool)
    mask[positions] = True
    return squeeze(np.packbits(mask).data)


def _pack_gaps(positions: np.ndarray, kind: int) -> bytes:
    """Entries between two positions; the largest number of the type means: so many, and more."""
    dtype = np.dtype(GAPS[kind])
    escape = np.iinfo(dtype).max
    gaps = np.diff(positions, prepend=-1) - 1
    numbers = gaps.astype(dtype)
    if gaps.max() >= escape:
        escapes = gaps // escape
        places = np.arange(len(gaps)) + np.cumsum(escapes)
        numbers = np.full(places[-1] + 1, escape, dtype)
        numbers[places] = gaps - escapes * escape
    return byte_planes(numbers)


def _unpack_gaps(kind: int, packed: Bytes, size: int, count: int) -> np.ndarray:
    dtype = np.dtype(GAPS[kind])
    escape = np.iinfo(dtype).max
    raw = expand(packed, (count + size // escape) * dtype.itemsize)
    if len(raw) % dtype.itemsize or not raw:
        raise CodecError("the positions of the message are cut off; send it again")
    numbers = from_byte_planes(raw, GAPS[kind])
    ends = numbers < escape
    if not ends[-1]:
        raise CodecError("the positions of the message are cut off; send it again")
    wide = np.int32 if len(numbers) * escape < 2**31 else np.int64
    steps = np.add(numbers, ends, dtype=wide)
    return np.cumsum(steps, dtype=wide)[ends] - 1
