"""Names, shapes and types of a message's tensors: both ends know them, they never travel."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedvox.errors import CodecError

TYPES = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Tensor:
    """What a message need not say of one tensor.

    Args:
        name: in the model.
        shape: any, also ``()``.
        dtype: ``float16``, ``float32`` or ``float64``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def entries(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Schema:
    """The tensors of a message, by name.

    Args:
        tensors: sorted by name.

    Example:
        >>> schema = Schema.of({"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.float32)})
        >>> [(tensor.name, tensor.shape) for tensor in schema.tensors]
        [('b', (3,)), ('w', (2, 3))]
    """

    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Schema":
        """The schema of these arrays.

        Raises:
            CodecError: a tensor is not of a floating type.
        """
        for name, array in arrays.items():
            if array.dtype.name not in TYPES:
                raise CodecError(
                    f"tensor '{name}' is of type {array.dtype.name}; only {', '.join(TYPES)} can "
                    "be compressed: send it beside the message"
                )
        return cls(
            tuple(
                Tensor(name, arrays[name].shape, arrays[name].dtype.name) for name in sorted(arrays)
            )
        )

    @property
    def digest(self) -> bytes:
        """16 bytes that differ when a name, a shape or a type does."""
        text = repr([(tensor.name, tensor.shape, tensor.dtype) for tensor in self.tensors])
        return hashlib.sha256(text.encode()).digest()[:16]

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Compares names and shapes; types may differ.

        Raises:
            CodecError: another set of names, or another shape.
        """
        shapes = {tensor.name: tensor.shape for tensor in self.tensors}
        for name in sorted(shapes.keys() ^ arrays.keys()):
            place = "in the values only" if name in arrays else "missing"
            raise CodecError(f"tensor '{name}' is {place}; compress the tensors of the schema")
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise CodecError(f"tensor '{name}' is {arrays[name].shape}, not {shape}")
