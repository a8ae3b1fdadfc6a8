"""A case's label files as one small map of the organs that FedVox knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.check.slabs import slabs
from fedvox.data.images import nifti
from fedvox.data.images.nifti import Volume, check_same_grid, on_axes_of, without_voxels
from fedvox.data.images.volumes import load_image, load_label
from fedvox.data.organs import CANONICAL, IGNORE, PARENTS
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


def read_organs(case: Case) -> OrganMap | None:
    """Merges the label files of a case, in the order in which training lays them over each other.

    Returns:
        The organs on the first label's grid. None for a case without a label file.

    Raises:
        DataError: a label cannot be used.
        SeriesError: the image's series cannot be.
    """
    merged: Volume | None = None
    ignored, overlaps, several = 0, {}, len(case.labels) > 1
    for file in case.layers():
        label = _read(case, file)
        if merged is None:
            empty = np.zeros(label.data.shape, np.uint8, order="F")
            merged = Volume(empty, label.affine, label.header, conflict=label.conflict)
        if label.conflict and not merged.conflict:
            merged = replace(merged, conflict=label.conflict)
        label = on_axes_of(merged, label)
        check_same_grid(merged, label)
        shared = np.zeros((len(CANONICAL) + 1,) * 2, np.int64)
        ignored += _add(merged.data, label.data, file, shared if several else None)
        overlaps.update(_overlaps(shared))
    if merged is None:
        return None
    return OrganMap(**vars(merged), ignored=ignored, overlaps=overlaps)


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


def _add(organs: np.ndarray, label: np.ndarray, file: LabelFile, shared: np.ndarray | None) -> int:
    """Lays a label file over the map.

    Args:
        organs: the map, changed.
        label: the file's voxels.
        file: what they mean.
        shared: gets voxels by the organ that lay there and the one that comes, ``(O + 1, O + 1)``;
            None for a case's only file.

    Returns:
        Voxels that nobody annotated.
    """
    found = sorted({int(v) for part in slabs(label.shape) for v in np.unique(label[:, :, part])})
    file.refuse_unknown(found)
    names = {value: file.values[value] for value in found if value}
    table = np.zeros(max([0, *names]) + 1, np.uint8)
    for value, organ in names.items():
        table[value] = CANONICAL.index(organ) + 1 if organ in CANONICAL else 0
    open_values = [value for value, organ in names.items() if organ == IGNORE]
    ignored = 0
    for part in slabs(label.shape):
        values = table[label[:, :, part]]
        below, new = organs[:, :, part], values > 0
        if shared is not None:
            over = new & (below > 0)
            np.add.at(shared, (below[over], values[over]), 1)
        np.copyto(below, values, where=new)
        if open_values:
            unknown = np.isin(label[:, :, part], open_values)
            below[unknown] = 0
            ignored += int(unknown.sum())
    return ignored


def _overlaps(shared: np.ndarray) -> dict[tuple[str, str], int]:
    """Voxels that two masks share, but for a part inside its organ, where it belongs."""
    found = {}
    for below, above in np.argwhere(shared):
        lost, won = CANONICAL[below - 1], CANONICAL[above - 1]
        if lost != won and PARENTS.get(won) != lost:
            found[lost, won] = int(shared[below, above])
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
