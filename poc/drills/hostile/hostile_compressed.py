"""Compressed updates that no honest site sends: of another model, damaged, and lies whose check sum
is right."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fedvox.compression.codec import HEAD, HEADER, LENGTH, MAGIC, VERSION, encode
from fedvox.compression.compress import Compressed, Part, compress
from fedvox.compression.quantise import Quantised
from fedvox.compression.schema import Schema
from fedvox.compression.settings import EXACT, Coding
from fedvox.flare.run.messages import PAYLOAD, REPLICA
from fedvox.training.replica import Replica

BIG = 20 * 2**20
MOST = 2**32 - 1
ALL = Coding(keep=0.5, bits=4, small=0)
EXACTLY = Coding(keep=0.5, bits=EXACT, small=0)


def lies(arrays: dict[str, np.ndarray], held: Replica) -> Iterator[dict[str, Any]]:
    """Contents of results.

    Args:
        arrays: the weights after training.
        held: the model before.
    """
    update = {name: array - held.arrays[name] for name, array in arrays.items()}
    right = encode(compress(update, ALL))
    version, digest = held.name.split(":")
    names = ["", digest, f"{int(version) + 1}:{digest}", f"{version}:{digest[::-1]}", "x" * BIG]
    for name in (*names, None, 7, np.array([held.name, held.name])):
        yield {REPLICA: name, PAYLOAD: right}
    yield {PAYLOAD: right}
    yield {REPLICA: held.name}
    for payload in (*_damaged(right), *_sealed(Schema.of(update)), *_numbers(Schema.of(update))):
        yield {REPLICA: held.name, PAYLOAD: payload}


def _damaged(right: bytes) -> Iterator[Any]:
    yield b""
    yield right[:-1]
    yield right[:100] + bytes([right[100] ^ 1]) + right[101:]
    yield right * 2
    yield b"FVXC" * (BIG // 4)
    yield np.frombuffer(right, np.uint8)
    yield right.hex()


def _sealed(schema: Schema) -> Iterator[bytes]:
    """Headers and lengths that promise more than there is."""

    def sealed(body: bytes) -> bytes:
        return body + struct.pack("<I", zlib.crc32(body))

    def header(bits: int = 4, small: int = 0, chunk: int = 0, block: int = 512) -> bytes:
        return HEADER.pack(MAGIC, VERSION, bits, small, chunk, block, schema.digest)

    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = zeros.compress(bytes(8 * BIG)) + zeros.flush()
    yield sealed(header())
    yield sealed(HEADER.pack(MAGIC, VERSION + 1, 4, 0, 0, 512, schema.digest))
    yield sealed(HEADER.pack(MAGIC, VERSION, 4, 0, 0, 512, bytes(16)))
    yield sealed(header(small=MOST))
    for odd in ({"bits": 0}, {"bits": 255}, {"chunk": MOST}, {"block": MOST}, {"block": 0}):
        yield sealed(header(**odd) + bytes(1000))
    for kind in (1, 2, 3, 255):
        yield sealed(header() + HEAD.pack(kind, MOST) + LENGTH.pack(MOST))
        pieces = (LENGTH.pack(len(bomb)) + bomb) * 6
        yield sealed(header() + HEAD.pack(kind, 1000) + pieces)


def _numbers(schema: Schema) -> Iterator[bytes]:
    """Well-formed messages with values and levels of blocks that no update has."""
    where = np.arange(10, dtype=np.uint32)
    for value in (np.nan, np.inf, -np.inf, 3e38, -3e38):
        part = Part(where, np.full(10, value, np.float32))
        yield encode(Compressed(schema, EXACTLY, {}, [part]))
    for low, high in ((np.nan, 1), (0, np.inf), (np.inf, np.inf), (2, 1), (-1, 1), (3e38, 3e38)):
        levels = (np.array([level], np.float32) for level in (low, high))
        part = Part(where, Quantised(np.full(10, 7, np.uint8), *levels))
        yield encode(Compressed(schema, ALL, {}, [part]))
