"""Which voxels of a scan were measured: padding, and whatever else was filled in, left out.

A scan is often padded: outside the circle of a CT, around a volume that was turned or cut, where a
face was removed. Such voxels hold one number exactly, many times, and say nothing of the scan.
"""

import numpy as np

from fedvox.data.check.slabs import thinned

SAMPLE = 1_000_000
FILLED_SHARE = 0.01
"""A single number that fills so much of a scan may be filling."""
ABOVE_NEIGHBOURS = 8
"""And is, if it occurs so many times as often as the numbers next to it."""
NEIGHBOURS = 5
LEAST_NUMBERS = 16
"""A drawing of few numbers has no filling: every number of it stands alone."""
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
    if len(values) < LEAST_NUMBERS:
        return values[:0]
    often = np.flatnonzero(counts >= FILLED_SHARE * counts.sum()).tolist()
    filled = [index for index in often if _stands_out(counts, index)]
    if counts.sum() - counts[filled].sum() < LEAST_MEASURED * counts.sum():
        return values[:0]
    return values[filled]


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
