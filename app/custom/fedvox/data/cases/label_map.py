"""What each labelled voxel of a case counts as: one rule for training, scoring, checks and plans.

A case has one label file with many values, or a mask per structure, and masks overlap. The files
are laid over each other in the order of :meth:`fedvox.data.cases.case.Case.layers`; a part of an
organ counts as the organ wherever the job does not train the part. What the job does not train
never covers what it trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.images.nifti import Volume, check_same_grid
from fedvox.data.images.slabs import slabs
from fedvox.data.images.volumes import load_label
from fedvox.data.organs import CANONICAL, IGNORE, IGNORED, trained_as


@dataclass(frozen=True)
class LabelRule:
    """What the structures of a case become.

    Attributes:
        organs: the job's organs.
        annotated: organs that the case annotates.
        values: structure -> its value in the map, 1 to 254. What has none becomes 0; what has one
            and is no organ of the job is only shown, where nothing of the job lies.
    """

    organs: tuple[str, ...]
    annotated: frozenset[str]
    values: Mapping[str, int]

    def value_of(self, structure: str | None) -> int:
        """The value of a voxel that the label says to be a structure.

        Args:
            structure: a canonical name, :data:`fedvox.data.organs.IGNORE`, or None for any other.
        """
        if structure == IGNORE:
            return IGNORED
        organ = trained_as(structure, self.organs, self.annotated) or structure
        return self.values.get(organ, 0) if organ else 0

    def has_part_in(self, file: LabelFile) -> bool:
        """Whether a label file holds something of the job, or voxels that nobody annotated."""
        return any(
            structure == IGNORE or trained_as(structure, self.organs, self.annotated)
            for structure in file.values.values()
        )

    def shown_only(self) -> np.ndarray:
        """``(256,)`` bool: values of what the job does not train."""
        found = np.zeros(256, dtype=bool)
        found[[value for organ, value in self.values.items() if organ not in self.organs]] = True
        return found


def training_rule(case: Case, organs: Sequence[str]) -> LabelRule:
    """The job's organs alone: organ i has the value i + 1.

    Args:
        case: from a reader.
        organs: the job's.
    """
    values = {organ: place for place, organ in enumerate(organs, start=1)}
    return LabelRule(tuple(organs), case.annotated(), values)


def showing_rule(case: Case, organs: Sequence[str] = ()) -> LabelRule:
    """All structures: organ i of ``CANONICAL`` has the value i + 1; the job's are where it trains.

    Args:
        case: from a reader.
        organs: the job's; empty without a job, then all are treated as its own.
    """
    values = {organ: place for place, organ in enumerate(CANONICAL, start=1)}
    return LabelRule(tuple(organs) or CANONICAL, case.annotated(), values)


def merged_labels(case: Case, image: Volume, organs: Sequence[str]) -> np.ndarray:
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
    rule = training_rule(case, organs)
    result = np.zeros(image.data.shape, dtype=np.uint8, order="F")  # as NIfTI lies in memory
    for file in case.layers():
        if rule.has_part_in(file):
            label = load_label(file.path, image)
            check_same_grid(image, label)
            lay_over(result, label.data, file, rule)
    return result


def lay_over(
    labels: np.ndarray,
    label: np.ndarray,
    file: LabelFile,
    rule: LabelRule,
    shared: np.ndarray | None = None,
) -> None:
    """Lays a label file over the map, slab by slab.

    Args:
        labels: the map, ``(X, Y, Z)`` uint8; changed.
        label: the file's voxels, int16 on the same grid.
        file: what they mean.
        rule: what they become.
        shared: ``(256, 256)``, gets the voxels that two structures claim, by the value that loses
            and the one that wins; None where nobody asks.

    Raises:
        DataError: a value that the file's table does not list.
    """
    found = _values(label)
    file.refuse_unknown(found)
    table = np.zeros(2**16, dtype=np.uint8)  # a value below 0 counts from its end
    for value in found:
        table[value] = rule.value_of(file.values[value])
    shown_only = rule.shown_only()
    for part in slabs(label.shape):
        below, new = labels[:, :, part], table[label[:, :, part]]
        wins = new > 0
        if shown_only.any():
            wins &= ~shown_only[new] | (below == 0) | shown_only[below]
        if shared is not None:
            _count_shared(shared, below, new, wins)
        np.copyto(below, new, where=wins)


def _count_shared(shared: np.ndarray, below: np.ndarray, new: np.ndarray, wins: np.ndarray) -> None:
    both = (new > 0) & (below > 0) & (new != below) & (new != IGNORED) & (below != IGNORED)
    below, new, wins = below[both], new[both], wins[both]
    np.add.at(shared, (np.where(wins, below, new), np.where(wins, new, below)), 1)


def _values(label: np.ndarray) -> list[int]:
    """The values that stand in a label volume of 16 bits, without 0, rising."""
    seen = np.zeros(2**16, dtype=bool)
    for part in slabs(label.shape):
        seen[label[:, :, part]] = True
    found = np.flatnonzero(seen[1:]) + 1
    return sorted(found.astype(np.uint16).view(np.int16).tolist())
