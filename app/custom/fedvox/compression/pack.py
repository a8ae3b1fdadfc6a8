"""Numbers as bytes: bit planes, byte planes, and the standard library's Huffman coder.

``Z_HUFFMAN_ONLY`` codes each byte by its frequency and searches no repetitions: there are none in
such data, and searching takes most of the time. A table holds for some 32,000 bytes at most.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from fedvox.errors import CodecError

Bytes = bytes | memoryview


def squeeze(*planes: Bytes) -> bytes:
    """Huffman-coded bytes, a raw deflate stream.

    Args:
        planes: follow one another; each begins a table of its own.
    """
    coder = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    blocks = [coder.compress(plane) + coder.flush(zlib.Z_BLOCK) for plane in planes]
    return b"".join(blocks) + coder.flush()


def expand(packed: Bytes, limit: int) -> bytes:
    """The inverse of :func:`squeeze`; makes no more than ``limit + 1`` bytes.

    Raises:
        CodecError: no such stream, or one of more than ``limit`` bytes.
    """
    coder = zlib.decompressobj(-15)
    try:
        raw = coder.decompress(packed, limit + 1)
    except zlib.error:
        raise CodecError("a part of the message is no deflate stream; send it again") from None
    if len(raw) > limit or not coder.eof or coder.unused_data:
        raise CodecError("a part of the message has another length than it must; send it again")
    return raw


def expand_exactly(packed: Bytes, size: int) -> bytes:
    """As :func:`expand`, for a stream of just ``size`` bytes.

    Raises:
        CodecError: no such stream.
    """
    raw = expand(packed, size)
    if len(raw) != size:
        raise CodecError("a part of the message has another length than it must; send it again")
    return raw


def bit_planes(codes: np.ndarray, bits: int) -> list[bytes]:
    """Per bit, the highest first, that bit of every code, eight to a byte.

    Args:
        codes: ``uint8 (N,)`` below ``2 ** bits``.
        bits: 1 to 8.
    """
    planes = (codes & np.uint8(1 << bit) for bit in reversed(range(bits)))
    return [squeeze(np.packbits(plane).data) for plane in planes]


def from_bit_planes(planes: Sequence[Bytes], count: int) -> np.ndarray:
    """The codes, ``uint8 (count,)``.

    Raises:
        CodecError: a plane is no stream of the right length.
    """
    codes = np.zeros(count, np.uint8)
    for bit, plane in enumerate(reversed(planes)):
        raw = np.frombuffer(expand_exactly(plane, -(-count // 8)), np.uint8)
        codes |= np.unpackbits(raw, count=count) << bit
    return codes


def byte_planes(numbers: np.ndarray) -> bytes:
    """All first bytes of the numbers, then all second ones and so on, lowest first, squeezed."""
    small = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    planes = small.view(np.uint8).reshape(-1, numbers.itemsize).T.copy()
    return squeeze(*(plane.data for plane in planes))


def from_byte_planes(raw: bytes, dtype: str) -> np.ndarray:
    """Numbers from expanded byte planes.

    Args:
        raw: as many bytes as whole numbers have.
        dtype: of the numbers.
    """
    size = np.dtype(dtype).itemsize
    planes = np.frombuffer(raw, np.uint8).reshape(size, -1)
    numbers = np.ascontiguousarray(planes.T).view(np.dtype(dtype).newbyteorder("<")).reshape(-1)
    return numbers.astype(dtype, copy=False)
