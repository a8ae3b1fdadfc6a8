"""A case's label files as one small map of the organs that FedVox knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.cases.label_map import lay_over, showing_rule
from fedvox.data.images import nifti
from fedvox.data.images.nifti import Volume, check_same_grid, on_axes_of, without_voxels
from fedvox.data.images.slabs import slabs
from fedvox.data.images.volumes import load_image, load_label
from fedvox.data.organs import CANONICAL, IGNORED, PARENTS
from fedvox.errors import DataError


class SeriesError(DataError):
    """The series whose axes a label needs cannot be read; the label is not to blame."""


@dataclass(frozen=True)
class OrganMap(Volume):
    """The organs of a case: uint8, organ i of ``CANONICAL`` has the value i + 1, the rest is 0.

    Attributes:
        ignored: voxels that nobody annotated; 0 in the map.
        overlaps: the organ that loses and the one that wins -> voxels that their masks share.
    """

    ignored: int = 0
    overlaps: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def ignored_share(self) -> float:
        """Share of the voxels that nobody annotated."""
        return self.ignored / max(1, self.data.size)


def read_organs(case: Case, organs: Sequence[str] = (), every_file: bool = True) -> OrganMap | None:
    """Merges the label files of a case by the rule of training.

    Args:
        case: from a reader.
        organs: the job's: each voxel that training gives one of them has that one here. Elsewhere
            lies what else the files name. Empty without a job.
        every_file: False leaves files that hold nothing of the job closed, as training does.

    Returns:
        The organs on the first label's grid. None for a case without a label file.

    Raises:
        DataError: a label cannot be used.
        SeriesError: the image's series cannot be.
    """
    merged: Volume | None = None
    rule = showing_rule(case, organs)
    shared = np.zeros((256, 256), np.int64) if len(case.labels) > 1 else None
    for file in case.layers():
        if not every_file and not rule.has_part_in(file):
            continue
        label = _read(case, file)
        if merged is None:
            empty = np.zeros(label.data.shape, np.uint8, order="F")
            merged = Volume(empty, label.affine, label.header, conflict=label.conflict)
        if label.conflict and not merged.conflict:
            merged = replace(merged, conflict=label.conflict)
        label = on_axes_of(merged, label)
        check_same_grid(merged, label)
        lay_over(merged.data, label.data, file, rule, shared)
    if merged is None:
        return None
    ignored = _without_ignored(merged.data) if case.ignores else 0
    return OrganMap(**vars(merged), ignored=ignored, overlaps=_overlaps(shared))


def _read(case: Case, file: LabelFile) -> Volume:
    """A series' label needs the series' axes: it is read too, and given up at once."""
    path = next(iter(case.images.values()), None)
    if path is None or not (path.is_dir() or file.path.is_dir()):
        return nifti.load_label(file.path)
    try:
        image = without_voxels(load_image(path))
    except DataError as error:
        raise SeriesError(str(error)) from None
    return load_label(file.path, image)


def _without_ignored(organs: np.ndarray) -> int:
    """Takes the voxels that nobody annotated out of the map and counts them."""
    count = 0
    for part in slabs(organs.shape):
        unknown = organs[:, :, part] == IGNORED
        count += int(unknown.sum())
        organs[:, :, part][unknown] = 0
    return count


def _overlaps(shared: np.ndarray | None) -> dict[tuple[str, str], int]:
    """Voxels that two masks share, but for a part inside its organ, where it belongs."""
    found: dict[tuple[str, str], int] = {}
    if shared is None:
        return found
    for loser, winner in np.argwhere(shared):
        lost, won = CANONICAL[loser - 1], CANONICAL[winner - 1]
        if PARENTS.get(won) != lost:
            found[lost, won] = int(shared[loser, winner])
    return found


def organ_voxels(organs: np.ndarray) -> dict[str, int]:
    """Voxels of each organ that the map holds.

    Args:
        organs: from :func:`read_organs`.
    """
    counts = np.zeros(len(CANONICAL) + 1, np.int64)
    for part in slabs(organs.shape):
        counts += np.bincount(organs[:, :, part].ravel("K"), minlength=len(counts))
    return {organ: int(n) for organ, n in zip(CANONICAL, counts[1:]) if n}
