"""Finds images that hold the same voxels, whatever their header, orientation and number type.

A signature is the image averaged over 8 x 8 x 8 equal boxes, less its mean, with length 1. Flipping
or permuting the image's axes does the same to the signature; scale, offset and rounding of the
intensities hardly move it. So two images with the same voxels have signatures whose scalar product
is 1 in one of the at most 48 turns of a box. Cropped, resampled or filtered copies are not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from fedvox.data.check.slabs import thinned

BOXES = 8
SIMILAR = 1 - 1e-4
"""Scalar product from which on two images are compared voxel by voxel."""
SAME = 1 - 5e-4
"""Correlation of voxels: rounding to 8 bits stays above it, a second scan below."""
CHUNK = 512
SAMPLE = 1_000_000

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Turn:
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


def signature(data: np.ndarray) -> Signature:
    """The signature of an image ``(X, Y, Z)``."""
    first, second, third = (_shares(length) for length in data.shape)
    planes = [first @ data[:, :, index] @ second.T for index in range(data.shape[2])]
    boxes = sorted_axes(np.stack(planes, axis=-1) @ third.T, data.shape)
    boxes = boxes - boxes.mean()
    length = float(np.linalg.norm(boxes))
    shape = tuple(sorted(data.shape))
    return Signature(shape, (boxes / (length or 1.0)).astype(np.float32))


def sorted_axes(array: np.ndarray, shape: Axes) -> np.ndarray:
    """A view whose axes stand in the order of the lengths in ``shape``."""
    return array.transpose(np.argsort(shape, kind="stable"))


def alike(signatures: Sequence[Signature]) -> list[tuple[int, int, Turn]]:
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


def same_voxels(first: np.ndarray, second: np.ndarray, turn: Turn) -> bool:
    """Do two images hold the same voxels but for scale, offset and rounding of intensities?

    Args:
        first, second: images ``(X, Y, Z)``.
        turn: from :func:`alike`.
    """
    one = sorted_axes(first, first.shape)
    other = turn.apply(sorted_axes(second, second.shape))
    if one.shape != other.shape:
        return False
    places = thinned(one.shape, SAMPLE)
    values = np.stack([_clipped(view[places].ravel()) for view in (one, other)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool(np.corrcoef(values)[0, 1] > SAME)  # constant samples give NaN: not the same


def _pairs(boxes: np.ndarray, shape: Axes) -> Iterator[tuple[int, int, Turn]]:
    """Pairs within a group of images of one shape, each with its best turn."""
    flat = boxes.reshape(len(boxes), -1)
    for start in range(0, len(boxes) - 1, CHUNK):
        best: dict[tuple[int, int], tuple[float, Turn]] = {}
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


def _turns(shape: Axes) -> Iterator[Turn]:
    """All turns that leave the shape as it is: 8, 16 or 48."""
    for permutation in permutations(range(3)):
        if tuple(shape[axis] for axis in permutation) == shape:
            for count in range(4):
                for flips in combinations(range(3), count):
                    yield Turn(permutation, flips)


def _shares(length: int) -> np.ndarray:
    """``(8, length)``: which share of each box every voxel makes; boxes may cut voxels."""
    edges = np.linspace(0, length, BOXES + 1)
    voxels = np.arange(length)
    low = np.maximum(edges[:-1, None], voxels)
    high = np.minimum(edges[1:, None], voxels + 1)
    return np.clip(high - low, 0, None) * BOXES / length


def _clipped(values: np.ndarray) -> np.ndarray:
    """Without extremes, so that a marker burnt into two images does not make them one."""
    low, high = np.percentile(values, (1, 99))
    return values.clip(low, high) if low < high else values
