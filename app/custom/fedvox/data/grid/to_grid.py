"""Any scanner's grid to the job's grid and exactly back.

Forward: reorient to RAS, clip and scale to [0, 1], resample to the job's spacing (image linear,
labels one-hot linear, both averaged along axes that get coarser). The resampled grid covers exactly
the field of view of the stored one, so that the inverse returns to the stored grid without
cropping, padding or rounding of positions.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F

from fedvox.data.grid.coarser import to_grid
from fedvox.data.grid.corner import corner_of
from fedvox.data.grid.planes import exact_by_planes, label_planes
from fedvox.data.images.nifti import Volume
from fedvox.data.organs import IGNORED
from fedvox.data.settings import DataSettings

Shape = tuple[int, int, int]

SAMPLE = 2_000_000
"""Voxels of which an MRI's percentiles are taken."""


@dataclass(frozen=True)
class Geometry:
    """How a stored grid relates to the job's grid.

    Attributes:
        stored_shape: ``(X, Y, Z)`` of the file.
        axes: nibabel orientation array of the stored affine, as nested tuples.
        grid_shape: shape on the job's grid, RAS.
        spacing: voxel size in mm on the job's grid, RAS.
    """

    stored_shape: Shape
    axes: tuple[tuple[int, int], ...]
    grid_shape: Shape
    spacing: tuple[float, float, float]


def geometry_of(volume: Volume, spacing: Sequence[float]) -> Geometry:
    """Works out the job's grid for a stored volume.

    Args:
        volume: the stored volume.
        spacing: wanted voxel size in mm, RAS; met up to rounding to whole voxels.
    """
    orientation = nib.io_orientation(volume.affine)
    axes = tuple((int(axis), int(flip)) for axis, flip in orientation)
    stored = volume.data.shape
    extent, size = [0.0] * 3, [1] * 3
    for stored_axis, (ras_axis, _) in enumerate(axes):
        extent[ras_axis] = stored[stored_axis] * volume.spacing[stored_axis]
    for axis in range(3):
        size[axis] = max(1, round(extent[axis] / spacing[axis]))
    actual = tuple(extent[axis] / size[axis] for axis in range(3))
    return Geometry(_shape(stored), axes, _shape(size), (actual[0], actual[1], actual[2]))


def to_ras(data: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Permutes and flips stored axes to RAS; values are untouched."""
    return np.ascontiguousarray(_oriented(data, geometry))


def from_ras(data: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Inverse of :func:`to_ras`."""
    inverse = nib.orientations.ornt_transform(
        np.array([[0, 1], [1, 1], [2, 1]]), np.array(geometry.axes)
    )
    return np.ascontiguousarray(nib.apply_orientation(data, inverse))


def prepare_image(
    volume: Volume, modality: str, geometry: Geometry, settings: DataSettings
) -> torch.Tensor:
    """Stored image to the job's grid, scaled to [0, 1].

    Returns:
        float32 ``(X, Y, Z)`` on the job's grid.
    """
    # One copy, changed in place: a scan fills much of a hospital's memory.
    data = torch.from_numpy(np.array(_oriented(volume.data, geometry), order="C"))
    low, high = intensity_window(data, modality, settings)
    scaled = data.clamp_(low, high).sub_(low).div_(max(high - low, 1e-6)).float()
    image = to_grid(scaled, geometry.grid_shape)
    # The weights of a mean add up to 1 only within rounding.
    return image if image is scaled else image.clamp_(0, 1)


def intensity_window(
    data: torch.Tensor, modality: str, settings: DataSettings
) -> tuple[float, float]:
    """The values that become 0 and 1.

    CT has absolute units, so its window is the job's. MRI has none: percentiles of the body, which
    is what exceeds a tenth of its own robust range. Neither how much air a scan shows nor an empty
    margin around it changes them.
    """
    if modality == "ct":
        return settings.ct_window
    values = _sample(data)
    body = _body(values)
    low, high = np.percentile(body if body.size else values, settings.mr_percentiles)
    return float(low), float(high)


def _sample(data: torch.Tensor) -> np.ndarray:
    """Up to two million voxels, evenly over the box of those that are no filling.

    Filling has the smallest value or that of all eight corners, as margins have. Thinning begins at
    the box, so that a margin does not move the voxels that are taken.
    """
    used = data != data.min()
    ends = [torch.tensor([0, size - 1]) for size in data.shape]
    corners = data[torch.meshgrid(*ends, indexing="ij")]
    if (corners == corners[0, 0, 0]).all():
        used &= data != corners[0, 0, 0]
    if not used.any():
        return data.numpy().ravel()
    box = tuple(_reach(used.amax(others)) for others in ((1, 2), (0, 2), (0, 1)))
    step = math.ceil((used[box].numel() / SAMPLE) ** (1 / 3))
    thin = (slice(None, None, step),) * 3
    values = data[box][thin][used[box][thin]].numpy()
    if not values.size:  # thinning missed the few that there are
        return data[used].numpy()
    rest = values[values > values.min()]  # a margin around a scan that was filled already
    return rest if 0 < rest.size < 0.95 * values.size else values


def _reach(used: torch.Tensor) -> slice:
    """From the first to the last True of a line."""
    places = used.nonzero()
    return slice(int(places[0]), int(places[-1]) + 1)


def _body(values: np.ndarray) -> np.ndarray:
    """Values above a tenth of the body's range; found by repetition, each time of fewer values."""
    floor, ceiling = np.percentile(values, (0.5, 99.5))
    body = values
    while True:
        above = body[body > floor + 0.1 * (ceiling - floor)]
        if above.size in (0, body.size):
            return above
        body, ceiling = above, np.percentile(above, 99.5)


def prepare_label(
    label: np.ndarray, geometry: Geometry, organs: int, ignores: bool = False
) -> torch.Tensor:
    """Stored organ labels (0 to ``organs``) to the job's grid.

    Args:
        label: stored labels.
        geometry: from :func:`geometry_of`.
        organs: number of organs of the job.
        ignores: whether the label can hold :data:`fedvox.data.organs.IGNORED`. It is a class like
            the others: a voxel is ignored where most of it is, so that what was annotated counts
            where it has at least the share of what was not.

    Returns:
        uint8 ``(X, Y, Z)``: the class with the largest indicator, resampled as an image is; the
        lower one of equals.
    """
    data = to_ras(label, geometry)
    if data.shape == geometry.grid_shape:
        return torch.from_numpy(data).to(torch.uint8).clone()
    result = torch.zeros(geometry.grid_shape, dtype=torch.uint8)
    whole = corner_of(data > 0, data.shape, geometry.grid_shape)
    if whole is None:
        return result
    labelled = data[_box(whole.stored)]
    best = whole.resample(torch.from_numpy(labelled == 0))
    for value in (*range(1, organs + 1), *([IGNORED] if ignores else ())):
        corner = corner_of(labelled == value, data.shape, geometry.grid_shape)
        if corner is None:
            continue
        box = _box(map(min, corner.grid, whole.grid))
        share = corner.resample(torch.from_numpy(data[_box(corner.stored)] == value))[box]
        result[box].masked_fill_(share > best[box], value)
        torch.maximum(best[box], share, out=best[box])
    return result


def restore_labels(probabilities: torch.Tensor, geometry: Geometry) -> np.ndarray:
    """Class scores on the job's grid to labels on the stored grid.

    Args:
        probabilities: ``(K, X, Y, Z)`` scores on the job's grid.

    Returns:
        uint8 labels with the stored shape and axis order.
    """
    shape = ras_shape(geometry)
    best = resample(probabilities[:1].float(), shape)[0]
    result = torch.zeros(best.shape, dtype=torch.uint8)
    for value in range(1, len(probabilities)):
        score = resample(probabilities[value : value + 1].float(), shape)[0]
        wins = score > best
        result[wins] = value
        best = torch.where(wins, score, best)
    return from_ras(result.numpy(), geometry)


def restore_slabs(slabs: Iterable[torch.Tensor], geometry: Geometry) -> np.ndarray:
    """:func:`restore_labels` of scores that come in slabs; whole score volumes are never in memory.

    Args:
        slabs: ``(K, n, Y, Z)`` float32 scores on the job's grid, one after the other along X.
        geometry: the way back to the stored grid.

    Returns:
        The same labels, bit by bit.
    """
    shape = ras_shape(geometry)
    if not exact_by_planes(shape):  # such a volume is small
        return restore_labels(torch.cat(list(slabs), dim=1), geometry)
    planes = (slab[:, x] for slab in slabs for x in range(slab.shape[1]))
    return from_ras(label_planes(planes, geometry.grid_shape[0], shape).numpy(), geometry)


def ras_shape(geometry: Geometry) -> Shape:
    """Shape of the stored volume with its axes in RAS order."""
    shape = [0] * 3
    for stored_axis, (ras_axis, _) in enumerate(geometry.axes):
        shape[ras_axis] = geometry.stored_shape[stored_axis]
    return _shape(shape)


def resample(volume: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Trilinear resampling of ``(C, X, Y, Z)`` to ``shape`` over the same field of view."""
    if tuple(volume.shape[1:]) == tuple(shape):
        return volume
    return F.interpolate(volume[None], size=shape, mode="trilinear", align_corners=False)[0]


def _oriented(data: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A view of stored voxels in RAS order."""
    return np.asarray(nib.apply_orientation(data, np.array(geometry.axes)))


def _box(edges: Iterable[int]) -> tuple[slice, ...]:
    """The part of a volume from voxel 0 on."""
    return tuple(map(slice, edges))


def _shape(values: Sequence[int]) -> Shape:
    x, y, z = (int(value) for value in values)
    return x, y, z
