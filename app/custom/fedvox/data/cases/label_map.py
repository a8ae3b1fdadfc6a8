"""A case's label files as one volume of the job's values."""

from collections.abc import Sequence

import numpy as np

from fedvox.data.cases.case import Case
from fedvox.data.images.nifti import Volume, check_same_grid
from fedvox.data.images.volumes import load_label
from fedvox.data.organs import IGNORE, IGNORED, trained_as

SLAB = 16
"""Slices that are looked up at once."""


def organ_labels(case: Case, image: Volume, organs: Sequence[str]) -> np.ndarray:
    """Merges a case's label files into the job's values; what the job does not train becomes 0.

    Files that hold nothing of the job are not opened: TotalSegmentator has a hundred per case.

    Args:
        case: from a reader.
        image: its image; only the grid matters.
        organs: the job's; organ i has the value i + 1.

    Returns:
        uint8 on the image's grid; :data:`fedvox.data.organs.IGNORED` where nobody annotated.

    Raises:
        DataError: a label cannot be used.
    """
    annotated = case.annotated()
    result = np.zeros(image.data.shape, dtype=np.uint8, order="F")  # as NIfTI lies in memory
    for file in case.layers():
        targets = {
            value: organ if organ == IGNORE else trained_as(organ, organs, annotated)
            for value, organ in file.values.items()
        }
        if not any(targets.values()):
            continue
        label = load_label(file.path, image)
        check_same_grid(image, label)
        found = _values(label.data)
        file.refuse_unknown(found)
        table = np.zeros(2**16, dtype=np.uint8)  # a value below 0 counts from its end
        for value in found:
            table[value] = _value(targets[value], organs)
        for slab in _slabs(label.data):
            merged = table[label.data[slab]]
            np.copyto(result[slab], merged, where=merged > 0)
    return result


def _value(organ: str | None, organs: Sequence[str]) -> int:
    if organ is None:
        return 0
    return IGNORED if organ == IGNORE else organs.index(organ) + 1


def _values(label: np.ndarray) -> list[int]:
    """The values that stand in a label volume of 16 bits, without 0, rising."""
    seen = np.zeros(2**16, dtype=bool)
    for slab in _slabs(label):
        seen[label[slab]] = True
    found = np.flatnonzero(seen[1:]) + 1
    return sorted(found.astype(np.uint16).view(np.int16).tolist())


def _slabs(data: np.ndarray) -> list[tuple[slice, ...]]:
    """Slices along Z, which lie together in the memory of a NIfTI volume."""
    everything = slice(None)
    starts = range(0, data.shape[2], SLAB)
    return [(everything, everything, slice(start, start + SLAB)) for start in starts]
