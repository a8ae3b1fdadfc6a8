"""What of some tensors is sent: small ones whole, of the others the largest entries, quantised.

The selection is by float32 magnitude. Sent values are float32 too (of float64 tensors float64 where
``bits`` is 32), each rounded to its tensor's type at the end.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from fedvox.compression.layout import Flat, Layout, Place, flatten, rounded
from fedvox.compression.quantise import Quantised, dequantise, quantise
from fedvox.compression.schema import Schema
from fedvox.compression.selection import (
    find_cut,
    kept_count,
    magnitude_bits,
    select,
    select_in_chunks,
)
from fedvox.compression.settings import EXACT, Coding
from fedvox.compression.threads import each
from fedvox.errors import CodecError


@dataclass(frozen=True)
class Part:
    """What is sent of one section.

    Args:
        positions: rising, within the section.
        content: as many values, quantised or exact.
    """

    positions: np.ndarray
    content: Quantised | np.ndarray

    def tensors(self, layout: Layout, section: int, coding: Coding) -> Iterator[Place]:
        """What the receiver gets, tensor by tensor.

        Args:
            layout: of the message.
            section: number of this one.
            coding: the numbers it was made with.
        """
        values = self.content
        if isinstance(values, Quantised):
            values = dequantise(values, coding.bits, coding.block)
        return layout.places(section, self.positions, values)


@dataclass(frozen=True)
class Compressed:
    """What is sent of some tensors.

    Args:
        schema: of the tensors.
        coding: the numbers it was made with.
        whole: tensors that are sent as they are.
        parts: of the other ones, section by section.
    """

    schema: Schema
    coding: Coding
    whole: dict[str, np.ndarray]
    parts: list[Part]

    def places(self) -> Iterator[Place]:
        """What the receiver gets of the large tensors."""
        layout = Layout(self.schema, self.coding.small, self.coding.chunk)
        for section, part in enumerate(self.parts):
            yield from part.tensors(layout, section, self.coding)

    def dense(self) -> dict[str, np.ndarray]:
        """What the receiver gets: 0 where nothing is sent."""
        result = {
            tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in self.schema.tensors
        }
        for name, array in self.whole.items():
            result[name][...] = array
        flat = flatten(result)
        for place in self.places():
            flat[place.name][place.row][place.positions] = place.values
        return result


def compress(
    values: Mapping[str, np.ndarray],
    coding: Coding,
    schema: Schema | None = None,
    threads: int = 1,
) -> Compressed:
    """Takes ``keep`` of the entries, the largest in magnitude, and quantises them.

    Args:
        values: floating tensors by name; finite.
        coding: share, bits, runs, blocks and which tensors are small.
        schema: of the message, default that of ``values``; its types may be other ones.
        threads: that work at the same time; the result does not depend on them.

    Raises:
        CodecError: a value is not finite, also as float32; names or shapes are not the schema's.

    Example:
        >>> update = {"w": np.array([0.5, -3.0, 0.1, 2.0], np.float32)}
        >>> sent = compress(update, Coding(keep=0.5, bits=32, small=0))
        >>> sent.dense()["w"].tolist()
        [0.0, -3.0, 0.0, 2.0]
    """
    schema = schema or Schema.of(values)
    schema.check(values)
    layout = Layout(schema, coding.small, coding.chunk)
    check_finite({tensor.name: values[tensor.name] for tensor in layout.whole})
    whole = {tensor.name: rounded(values[tensor.name], tensor.dtype) for tensor in layout.whole}
    flat = flatten({tensor.name: values[tensor.name] for tensor in layout.sparse})
    take = _selector(flat, layout, coding, threads)

    def part(section: int) -> Part:
        row = layout.gather(flat, section)
        positions = take(section, magnitude_bits(row))
        if coding.bits == EXACT:
            wide = row if layout.wide == "float32" else layout.gather(flat, section, layout.wide)
            return Part(positions.astype(np.uint32), wide[positions])
        values = quantise(row[positions], coding.bits, coding.block)
        return Part(positions.astype(np.uint32), values)

    return Compressed(schema, coding, whole, each(part, layout.sections, threads))


Take = Callable[[int, np.ndarray], np.ndarray]
"""``(section, its magnitude bits) -> positions that are sent``."""


def _selector(flat: Flat, layout: Layout, coding: Coding, threads: int) -> Take:
    if coding.chunk:

        def take_largest(section: int, bits: np.ndarray) -> np.ndarray:
            positions = select_in_chunks(bits, coding.keep, coding.chunk)
            return _found(positions, flat)

        return take_largest
    if not layout.entries:
        return lambda section, bits: np.zeros(0, np.intp)
    cut = find_cut(
        lambda section: magnitude_bits(layout.gather(flat, section)),
        layout.sections,
        kept_count(coding.keep, layout.entries),
        partial(each, threads=threads),
    )
    cut = _found(cut, flat)
    return lambda section, bits: select(bits, cut, section)


F = TypeVar("F")


def _found(selected: F | None, arrays: Mapping[str, np.ndarray]) -> F:
    """What a selection found; it finds nothing where a value is not finite."""
    if selected is None:
        check_finite(arrays)
    assert selected is not None
    return selected


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses NaN and infinity.

    Raises:
        CodecError: names the first tensor that holds one.
    """
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(np.float32, copy=False)).all()
        if not finite:
            raise CodecError(
                f"tensor '{name}' holds NaN, infinity or a number beyond float32; it is refused"
            )
