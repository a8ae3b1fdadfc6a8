"""The large tensors of a schema as one long row of entries, cut into sections."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from fedvox.compression.schema import Schema, Tensor
from fedvox.compression.settings import SECTION

HALF_MAX = np.finfo(np.float16).max
Flat = dict[str, np.ndarray]
"""Tensor -> its entries, one-dimensional views."""


class Piece(NamedTuple):
    """A tensor's entries ``low`` to ``high``, which lie in a section from ``start`` on."""

    tensor: Tensor
    low: int
    high: int
    start: int


class Place(NamedTuple):
    """Values at ``positions`` of the slice ``row`` of the tensor ``name``, seen as one row."""

    name: str
    row: slice
    positions: np.ndarray
    values: np.ndarray


def flatten(arrays: Mapping[str, np.ndarray]) -> Flat:
    """The arrays as rows; a copy only of what is not contiguous."""
    return {name: np.ascontiguousarray(array).reshape(-1) for name, array in arrays.items()}


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """Finite values in another type; what is beyond a float16 becomes the largest one."""
    if dtype == "float16":
        values = np.clip(values, -HALF_MAX, HALF_MAX)
    return values.astype(dtype, copy=False)


class Layout:
    """Which tensors travel whole, and where the others lie in the row.

    Args:
        schema: of the message.
        small: tensors of fewer entries travel whole.
        chunk: a section holds a whole number of such runs; 0 where there are none.
    """

    def __init__(self, schema: Schema, small: int, chunk: int = 0) -> None:
        self.whole = tuple(tensor for tensor in schema.tensors if tensor.entries < small)
        self.sparse = tuple(tensor for tensor in schema.tensors if tensor.entries >= small)
        sizes = [tensor.entries for tensor in self.sparse]
        self._starts = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
        self.entries: int = self._starts[-1]
        self.section = SECTION // chunk * chunk if chunk else SECTION
        self.wide = (
            "float64" if any(tensor.dtype == "float64" for tensor in self.sparse) else "float32"
        )

    @property
    def sections(self) -> range:
        """Numbers of the sections."""
        return range(-(-self.entries // self.section))

    def size(self, section: int) -> int:
        """Entries of a section; only the last one may be short."""
        return min(self.section, self.entries - section * self.section)

    def pieces(self, section: int) -> Iterator[Piece]:
        """The overlaps of one section with tensors, in order."""
        start = section * self.section
        stop = start + self.size(section)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for tensor, begin in zip(self.sparse[first:], self._starts[first:]):
            if begin >= stop:
                return
            low, high = max(start - begin, 0), min(stop - begin, tensor.entries)
            if high > low:
                yield Piece(tensor, low, high, begin + low - start)

    def gather(self, flat: Flat, section: int, dtype: str = "float32") -> np.ndarray:
        """The entries of one section as one row; a view where that is possible.

        Values that ``dtype`` cannot hold become infinite.
        """
        pieces = list(self.pieces(section))
        if len(pieces) == 1 and flat[pieces[0].tensor.name].dtype == dtype:
            return flat[pieces[0].tensor.name][pieces[0].low : pieces[0].high]
        row = np.empty(self.size(section), dtype)
        with np.errstate(over="ignore"):
            for tensor, low, high, place in pieces:
                row[place : place + high - low] = flat[tensor.name][low:high]
        return row

    def places(self, section: int, positions: np.ndarray, values: np.ndarray) -> Iterator[Place]:
        """Sparse values of a section, tensor by tensor, in the tensors' own types.

        Args:
            section: its number.
            positions: rising, within the section.
            values: as many.
        """
        for tensor, low, high, start in self.pieces(section):
            first, last = np.searchsorted(positions, (start, start + high - low))
            chosen = values[first:last]
            own = rounded(chosen, tensor.dtype)
            # The type of numpy's own indices: with any other it takes three times as long.
            inside = positions[first:last].astype(np.intp) - start
            yield Place(tensor.name, slice(low, high), inside, own)
