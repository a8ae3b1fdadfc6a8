"""A case's label files as one small map of the organs that FedVox knows."""

import numpy as np

from fedvox.data import nifti
from fedvox.data.case import Case, LabelFile
from fedvox.data.check.slabs import slabs
from fedvox.data.nifti import Volume, check_same_grid, on_axes_of, without_voxels
from fedvox.data.organs import CANONICAL
from fedvox.data.volumes import load_image, load_label
from fedvox.errors import DataError


class SeriesError(DataError):
    """The series whose axes a label needs cannot be read; the label is not to blame."""


def read_organs(case: Case) -> Volume | None:
    """Merges the label files of a case.

    Returns:
        uint8 ``(X, Y, Z)`` on the first label's grid: organ i of ``CANONICAL`` has the value
        i + 1, everything else is 0. None for a case without a label file.

    Raises:
        DataError: a label cannot be used.
        SeriesError: the image's series cannot be.
    """
    merged: Volume | None = None
    for file in case.labels:
        label = _read(case, file)
        if merged is None:
            empty = np.zeros(label.data.shape, np.uint8, order="F")
            merged = Volume(empty, label.affine, label.header, conflict=label.conflict)
        label = on_axes_of(merged, label)
        check_same_grid(merged, label)
        _add(merged.data, label.data, file)
    return merged


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


def _add(organs: np.ndarray, label: np.ndarray, file: LabelFile) -> None:
    found = sorted({int(v) for part in slabs(label.shape) for v in np.unique(label[:, :, part])})
    file.refuse_unknown(found)
    names = {value: file.values[value] for value in found if value}
    table = np.zeros(max([0, *names]) + 1, np.uint8)
    for value, organ in names.items():
        table[value] = CANONICAL.index(organ) + 1 if organ else 0
    for part in slabs(label.shape):
        values = table[label[:, :, part]]
        np.copyto(organs[:, :, part], values, where=values > 0)


def organ_voxels(organs: np.ndarray) -> dict[str, int]:
    """Voxels of each organ that the map holds.

    Args:
        organs: from :func:`read_organs`.
    """
    counts = np.zeros(len(CANONICAL) + 1, np.int64)
    for part in slabs(organs.shape):
        counts += np.bincount(organs[:, :, part].ravel("K"), minlength=len(counts))
    return {organ: int(n) for organ, n in zip(CANONICAL, counts[1:]) if n}
