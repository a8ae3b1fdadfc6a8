"""Histograms of intensities, and a second look at whether they are those of the modality."""

from dataclasses import dataclass

import numpy as np

from fedvox.data.images.modality import AIR_HU
from fedvox.data.images.slabs import thinned
from fedvox.data.images.tissue import filled_values, measured_values
from fedvox.finding import WARN, Finding

BINS = 64
CT_RANGE = (-1100.0, 1500.0)
SAMPLE = 2_000_000
FAT_HU = -50
LEAST_FAT, MOST_FAT = 0.01, 0.05


@dataclass(frozen=True)
class Intensities:
    """What one image's voxels measure.

    Attributes:
        shares: share of the voxels in each of 64 bins: of all voxels from -1100 to 1500 HU in a
            CT, of the body's between its own percentiles 0.5 and 99.5 in an MRI.
        low, high: percentiles 0.5 and 99.5 of what was counted.
    """

    shares: np.ndarray
    low: float
    high: float


def intensities(data: np.ndarray, modality: str) -> Intensities:
    """Counts an image's intensities, on a sample of two million voxels without padding.

    Args:
        data: ``(X, Y, Z)``.
        modality: ``ct``, or any other for MRI.
    """
    values = measured_values(data, SAMPLE)
    if modality != "ct":
        floor, ceiling = np.percentile(values, (0.5, 99.5))
        body = values[values > floor + 0.1 * (ceiling - floor)]
        values = body if body.size else values
    low, high = (float(bound) for bound in np.percentile(values, (0.5, 99.5)))
    start, end = CT_RANGE if modality == "ct" else (low, high)
    bins = ((values - start) * (BINS / max(end - start, 1e-12))).clip(0, BINS - 1).astype(int)
    counts = np.bincount(bins, minlength=BINS)
    return Intensities((counts / max(1, values.size)).astype(np.float32), low, high)


def odd_intensities(data: np.ndarray, modality: str) -> Finding | None:
    """Notices a scan whose numbers are unusual for its modality, where nothing proves it wrong.

    Fat lies near -100 HU, so a CT without any value below -50 is rare; an MRI with many is, too.

    Args:
        data: ``(X, Y, Z)``.
        modality: ``ct``, or any other for MRI.
    """
    sample = data[thinned(data.shape, SAMPLE)]
    filled = filled_values(sample)
    padding = filled[filled < AIR_HU]  # air that was cut off at the edge of a window still counts
    share = float((sample[~np.isin(sample, padding)] < FAT_HU).mean())
    if modality == "ct" and share < LEAST_FAT:
        message = f"{share:.1%} of the scan lies below {FAT_HU} HU, less than fat and air in a CT"
    elif modality != "ct" and share > MOST_FAT:
        message = f"{share:.0%} of the scan lies below {FAT_HU}, as fat and air in a CT do"
    else:
        return None
    return Finding("modality", WARN, message, "look whether the scan is of the modality named")
