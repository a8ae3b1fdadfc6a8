"""Tensors and arrays as safetensors files that appear whole or not at all; never pickle."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fedvox.files import atomic_path

if TYPE_CHECKING:  # where arrays are written, PyTorch need not be installed
    import numpy as np
    import torch

LONGEST_HEADER = 4 * 2**20
"""Bytes, some 40,000 tensors. safetensors takes 100 MB, which cost a GB of memory when read."""


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """safetensors reports a full disk as its own error; callers expect an ``OSError``."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        if "I/O" not in str(error):
            raise
        told = re.search(r"os error (\d+)", str(error))
        if told is None:
            raise OSError(errno.EIO, "disk full or not writable", str(path)) from None
        raise OSError(int(told[1]), os.strerror(int(told[1])), str(path)) from None


def write_tensors(
    path: Path,
    tensors: Mapping[str, "torch.Tensor"],
    metadata: Mapping[str, str] | None = None,
    mode: int = 0o644,
) -> None:
    """Writes tensors as safetensors, atomically; equal ones give equal files, byte for byte."""
    from safetensors.torch import save_file

    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with atomic_path(path, mode) as temporary, _os_errors(path):
        save_file(contiguous, str(temporary), metadata=_told(contiguous, metadata))
        _sort_metadata(temporary)


def write_arrays(
    path: Path,
    arrays: Mapping[str, "np.ndarray"],
    metadata: Mapping[str, str] | None = None,
    mode: int = 0o644,
) -> None:
    """Writes numpy arrays as safetensors, atomically; equal ones give equal files."""
    import numpy as np
    from safetensors.numpy import save_file

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path, mode) as temporary, _os_errors(path):
        save_file(contiguous, str(temporary), metadata=_told(contiguous, metadata))
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """Puts a new file's metadata in the order of their names; safetensors writes a random one.

    Raises:
        ValueError: the header would change its length, and so the place of every tensor.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        if len(header["__metadata__"]) < 2:
            return
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(text) != length:
            raise ValueError("the metadata of a tensor file cannot be put in order")
        file.seek(8)
        file.write(text)


def read_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Reads a safetensors file of any origin into numpy arrays; nothing in it is run.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: no whole safetensors file, a header that is too long, or numbers that numpy
            lacks.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    with path.open("rb") as file:
        if int.from_bytes(file.read(8), "little") > LONGEST_HEADER:
            raise ValueError("the header is too long")
    try:
        return dict(load_file(str(path)))
    except (SafetensorError, TypeError, AttributeError) as error:  # the last two: no numpy type
        raise ValueError(str(error)) from None


def _told(
    tensors: Mapping[str, object], metadata: Mapping[str, str] | None
) -> dict[str, str] | None:
    """Metadata for safetensors, which cannot read its own file of neither tensors nor metadata."""
    return dict(metadata or {}) if tensors or metadata else None


def weights_hash(weights: Mapping[str, "np.ndarray"]) -> str:
    """SHA-256 over names, shapes and float32 bytes, in name order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], dtype=np.float32)
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
