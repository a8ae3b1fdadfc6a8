"""Finds images that hold the same voxels, whatever their header, orientation and number type.

Only tissue counts: padding and air are alike in two contrast phases of one patient, and where the
body ends is, too. A signature is the image averaged over 8 x 8 x 8 equal boxes, air and padding at
the mean of its tissue, less its mean, with length 1. Flipping or permuting the image's axes does
the same to the signature; scale, offset and rounding of the intensities hardly move it. So two
images with the same voxels have signatures whose scalar product is 1 in one of the at most 48 turns
of a box. Cropped, resampled or filtered copies are not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from fedvox.data.images.slabs import thinned
from fedvox.data.images.tissue import filled_values

BOXES = 8
SIMILAR = 1 - 2e-3
"""Scalar product from which on two images are compared voxel by voxel."""
APART = 5e-4
"""By how much the correlation of the same tissue may differ from 1 but for rounding; that of a
second scan differs by more."""
AGREE = 0.98
"""Share of the tissue of two equal images that is tissue in both, but for rounding at its edge."""
ROUNDING = 3e-3
"""At most so much is put down to rounding, as of a CT to 8 bits."""
LEVELS = 256
CHUNK = 512
SAMPLE = 1_000_000

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Reorientation:
    """A permutation of axes, then flips of some."""

    permutation: Axes
    flips: Axes

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A view of the array, turned."""
        return np.flip(array.transpose(self.permutation), self.flips)


@dataclass(frozen=True)
class Signature:
    """What is kept of an image to recognise its voxels.

    Attributes:
        shape: of the image, sorted.
        boxes: ``(8, 8, 8)`` means, axes in the order of ``shape``, mean 0, length 1.
    """

    shape: Axes
    boxes: np.ndarray


@dataclass(frozen=True)
class TissueThreshold:
    """Which voxels of an image are neither padding nor air.

    Attributes:
        floor: tissue lies above; the threshold of Otsu, which scale and offset do not move.
        filled: numbers that were filled in.
    """

    floor: float
    filled: np.ndarray

    def where(self, data: np.ndarray) -> np.ndarray:
        """Mask of the tissue in any part of the image."""
        mask = data > self.floor
        for value in self.filled.tolist():  # a plain number leaves the image as float32
            mask &= data != value
        return mask


def tissue_of(sample: np.ndarray) -> TissueThreshold:
    """Parts an image's voxels into tissue and the rest.

    Args:
        sample: voxels of the image, any shape.
    """
    values = sample.ravel().astype(np.float64)
    filled = filled_values(values)
    if filled.size:
        values = values[~np.isin(values, filled)]
    low, high = np.percentile(values, (0.5, 99.5))
    if low == high:
        return TissueThreshold(-np.inf, filled[:0])
    counts, edges = np.histogram(values.clip(low, high), LEVELS, (low, high))
    below = np.cumsum(counts)[:-1]
    moment = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    above = counts.sum() - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = moment[:-1] / below - (moment[-1] - moment[:-1]) / above
        between = np.nan_to_num(below * above * gap**2)
    floor = float(edges[1 + int(np.argmax(between))])
    upper = values[values > floor]
    if not upper.size or upper.min() == upper.max():  # of a drawing, the place tells all
        return TissueThreshold(-np.inf, filled[:0])
    return TissueThreshold(floor, filled)


def signature(data: np.ndarray) -> Signature:
    """The signature of an image ``(X, Y, Z)``."""
    sample = data[thinned(data.shape, SAMPLE)]
    tissue = tissue_of(sample)
    mask = tissue.where(sample)
    mean = float(sample[mask].mean(dtype=np.float64)) if mask.any() else 0.0
    first, second, third = (_shares(length).astype(np.float32) for length in data.shape)
    planes = []
    for index in range(data.shape[2]):
        plane = data[:, :, index]
        planes.append(first @ np.where(tissue.where(plane), plane - mean, 0.0) @ second.T)
    boxes = sorted_axes(np.stack(planes, axis=-1) @ third.T, data.shape)
    boxes = boxes - boxes.mean()
    length = float(np.linalg.norm(boxes))
    shape = tuple(sorted(data.shape))
    return Signature(shape, (boxes / (length or 1.0)).astype(np.float32))


def sorted_axes(array: np.ndarray, shape: Axes) -> np.ndarray:
    """A view whose axes stand in the order of the lengths in ``shape``."""
    return array.transpose(np.argsort(shape, kind="stable"))


def candidate_pairs(signatures: Sequence[Signature]) -> list[tuple[int, int, Reorientation]]:
    """Pairs of images that may hold the same voxels.

    Returns:
        (i, j, turn) with i < j: image j, its axes sorted and then turned, looks like image i.
    """
    groups: dict[Axes, list[int]] = {}
    for index, entry in enumerate(signatures):
        groups.setdefault(entry.shape, []).append(index)
    found = []
    for shape, members in groups.items():
        boxes = np.stack([signatures[index].boxes for index in members])
        for i, j, turn in _pairs(boxes, shape):
            found.append((members[i], members[j], turn))
    return sorted(found, key=lambda pair: pair[:2])


def same_voxels(first: np.ndarray, second: np.ndarray, turn: Reorientation) -> bool:
    """Do two images hold the same voxels but for scale, offset and rounding of intensities?

    Args:
        first, second: images ``(X, Y, Z)``.
        turn: from :func:`candidate_pairs`.
    """
    one = sorted_axes(first, first.shape)
    other = turn.apply(sorted_axes(second, second.shape))
    if one.shape != other.shape:
        return False
    places = thinned(one.shape, SAMPLE)
    views = [view[places] for view in (one, other)]
    masks = [tissue_of(view).where(view) for view in views]
    both = masks[0] & masks[1]
    if both.sum() < AGREE * max(mask.sum() for mask in masks):
        return False
    values = [_clipped(view[both].astype(np.float64)) for view in views]
    with np.errstate(divide="ignore", invalid="ignore"):
        rounding = sum(_rounding(view) for view in values)
        return bool(np.corrcoef(np.stack(values))[0, 1] > 1 - APART - rounding)  # not if it is NaN


def _rounding(values: np.ndarray) -> float:
    """What rounding to whole steps takes from a correlation: half its share of the variance."""
    steps = np.diff(np.unique(values))
    step = float(np.median(steps)) if steps.size else 0.0
    return min(ROUNDING, step**2 / 24 / float(values.var())) if values.var() else 0.0


def _pairs(boxes: np.ndarray, shape: Axes) -> Iterator[tuple[int, int, Reorientation]]:
    """Pairs within a group of images of one shape, each with its best turn."""
    flat = boxes.reshape(len(boxes), -1)
    for start in range(0, len(boxes) - 1, CHUNK):
        best: dict[tuple[int, int], tuple[float, Reorientation]] = {}
        for turn in _turns(shape):
            turned = np.stack([turn.apply(entry).ravel() for entry in boxes])
            products = flat[start : start + CHUNK] @ turned.T
            for row, column in np.argwhere(products > SIMILAR):
                pair = (start + int(row), int(column))
                score = float(products[row, column])
                if pair[0] < pair[1] and score > best.get(pair, (0.0, turn))[0]:
                    best[pair] = (score, turn)
        for (i, j), (_, turn) in best.items():
            yield i, j, turn


def _turns(shape: Axes) -> Iterator[Reorientation]:
    """All turns that leave the shape as it is: 8, 16 or 48."""
    for permutation in permutations(range(3)):
        if tuple(shape[axis] for axis in permutation) == shape:
            for count in range(4):
                for flips in combinations(range(3), count):
                    yield Reorientation(permutation, flips)


def _shares(length: int) -> np.ndarray:
    """``(8, length)``: which share of each box every voxel makes; boxes may cut voxels."""
    edges = np.linspace(0, length, BOXES + 1)
    voxels = np.arange(length)
    low = np.maximum(edges[:-1, None], voxels)
    high = np.minimum(edges[1:, None], voxels + 1)
    return np.clip(high - low, 0, None) * BOXES / length


def _clipped(values: np.ndarray) -> np.ndarray:
    """Without extremes, so that a marker burnt into two images does not make them one."""
    if not values.size:
        return values
    low, high = np.percentile(values, (1, 99))
    return values.clip(low, high) if low < high else values
