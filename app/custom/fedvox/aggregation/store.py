"""Screened updates of one round on disk, read tensor by tensor, so that memory stays flat."""

import shutil
from pathlib import Path

import numpy as np

from fedvox.aggregation.update import Arrays
from fedvox.tensors import write_arrays


class UpdateStore:
    """``<folder>/<round>/<site>.safetensors``.

    Args:
        folder: the server's ``incoming`` folder of this run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, round_index: int, site: str, arrays: Arrays) -> None:
        """Stores a screened update atomically."""
        write_arrays(self._path(round_index, site), dict(arrays))

    def read(self, round_index: int, site: str, name: str) -> np.ndarray:
        """Reads one tensor of one site."""
        from safetensors import safe_open

        with safe_open(str(self._path(round_index, site)), "np") as file:
            return file.get_tensor(name)

    def drop(self, round_index: int) -> None:
        """Deletes a round's updates."""
        shutil.rmtree(self.folder / f"{round_index:05d}", ignore_errors=True)

    def _path(self, round_index: int, site: str) -> Path:
        return self.folder / f"{round_index:05d}" / f"{site}.safetensors"
