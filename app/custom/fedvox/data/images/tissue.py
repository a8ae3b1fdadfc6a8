"""Which voxels of a scan were measured: padding, and whatever else was filled in, left out.

A scan is often padded: outside the circle of a CT, around a volume that was turned or cut, where a
face was removed. Such voxels hold one number exactly, many times, and say nothing of the scan.
"""

import numpy as np

from fedvox.data.images.slabs import thinned

SAMPLE = 1_000_000
FILLED_SHARE = 0.01
"""A single number that fills so much of a scan may be filling."""
ABOVE_NEIGHBOURS = 8
"""And is, if it occurs so many times as often as the numbers next to it."""
NEIGHBOURS = 5
LEAST_NUMBERS = 16
"""In a drawing of few numbers every number stands alone; filling lies far below all of them."""
FAR = 2
LEAST_MEASURED = 0.005


def filled_values(sample: np.ndarray) -> np.ndarray:
    """Numbers that were filled in and not measured, rising.

    Args:
        sample: voxels of a scan, any shape.

    Returns:
        Numbers that occur far more often than their neighbours in value; none if hardly a voxel
        would be left.
    """
    values, counts = np.unique(sample, return_counts=True)
    often = np.flatnonzero(counts >= FILLED_SHARE * counts.sum()).tolist()
    alone = len(values) > 3 and _lies_far(values, counts)
    filled = [
        index
        for index in often
        if (index == 0 and alone) or (len(values) >= LEAST_NUMBERS and _stands_out(counts, index))
    ]
    if counts.sum() - counts[filled].sum() < LEAST_MEASURED * counts.sum():
        return values[:0]
    return values[filled]


def _lies_far(values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the lowest number lies far below the others, beside the range of most of them."""
    share = np.cumsum(counts[1:]) / counts[1:].sum()
    low, high = (values[1:][np.searchsorted(share, part)] for part in (0.005, 0.995))
    return bool(values[1] - values[0] > FAR * (high - low))


def _stands_out(counts: np.ndarray, index: int) -> bool:
    low, high = max(0, index - NEIGHBOURS), index + NEIGHBOURS + 1
    beside = np.concatenate([counts[low:index], counts[index + 1 : high]])
    return bool(counts[index] >= ABOVE_NEIGHBOURS * np.median(beside))


def measured_values(data: np.ndarray, most: int = SAMPLE) -> np.ndarray:
    """The measured numbers of a scan, from a sample spread evenly over it.

    Args:
        data: ``(X, Y, Z)``.
        most: size of the sample.

    Returns:
        float64, one axis, rising; never empty.
    """
    sample = np.sort(data[thinned(data.shape, most)].ravel().astype(np.float64))
    filled = filled_values(sample)
    return sample[~np.isin(sample, filled)] if filled.size else sample
