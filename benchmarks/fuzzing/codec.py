"""Messages of the codec."""

import struct
import zlib
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from fedvox.compression.codec import decode, encode
from fedvox.compression.compress import compress
from fedvox.compression.schema import Schema
from fedvox.compression.settings import Coding
from fedvox.errors import CodecError
from fuzzing.changes import changed_bytes
from fuzzing.door import Door

CODINGS = (
    Coding(0.02, small=50),
    Coding(0.3, 5, small=50),
    Coding(0.1, 32, small=50),
    Coding(chunk=64, small=50),
)


def example_update() -> dict[str, np.ndarray]:
    """Tensors of three types, one of them empty."""
    generator = np.random.default_rng(0)
    return {
        "norm": np.linspace(-1, 1, 20, dtype=np.float32),
        "none": np.zeros((0, 3), np.float32),
        "half": generator.normal(size=(9, 8)).astype(np.float16),
        "weight": generator.normal(size=(30, 40)).astype(np.float32),
    }


def sealed(body: bytes) -> bytes:
    """With a check sum that is right, so that what lies behind it is tried."""
    return body + struct.pack("<I", zlib.crc32(body))


def messages(update: dict[str, np.ndarray]) -> list[bytes]:
    """Sound ones in several codings."""
    return [encode(compress(update, coding)) for coding in CODINGS]


def spoilt_messages(update: dict[str, np.ndarray]) -> st.SearchStrategy[bytes]:
    """Changed ones, most with a check sum that is right."""
    sound = messages(update)
    bodies = changed_bytes([message[:-4] for message in sound], head=64).map(sealed)
    return bodies | bodies | bodies | changed_bytes(sound)


def codec(work: Path) -> Door:
    """Bytes from anybody: refused, or finite tensors of the schema."""
    update = example_update()
    schema = Schema.of(update)

    def enter(data: bytes) -> bool:
        try:
            result = decode(data, schema)
        except CodecError:
            return False
        assert Schema.of(result) == schema
        assert all(np.isfinite(array).all() for array in result.values())
        return True

    return Door(spoilt_messages(update), enter)
