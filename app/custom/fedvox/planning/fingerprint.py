"""What planning needs to know of images: voxel sizes, extents and the HU inside organs, as counts.

Every histogram has the same fixed bins at every site, so that no smallest or largest value of a
single patient is ever asked for, and histograms of sites add up.

Reference:
    Isensee et al., "nnU-Net", Nature Methods 2021: the data set fingerprint. Here one per modality,
    over sites that show histograms only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import nibabel as nib
import numpy as np

from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import checked_volumes
from fedvox.data.check.organs import read_organs
from fedvox.data.images.nifti import Volume, check_same_grid, on_axes_of
from fedvox.data.organs import CANONICAL

AXES = ("r", "a", "s")
SPACING = tuple(f"spacing_{axis}" for axis in AXES)
EXTENT = tuple(f"extent_{axis}" for axis in AXES)
ORGAN_HU = "organ_hu"


@dataclass(frozen=True)
class Bins:
    """Equal bins of a feature; values outside count in the first or the last.

    Attributes:
        low: lower edge of the first bin.
        width: of a bin, in the feature's unit.
        count: number of bins.
    """

    low: float
    width: float
    count: int

    @property
    def high(self) -> float:
        """Upper edge of the last bin."""
        return float(self.edges[-1])

    @property
    def edges(self) -> np.ndarray:
        """``(count + 1,)`` edges."""
        return np.round(self.low + self.width * np.arange(self.count + 1), 6)

    @property
    def centres(self) -> np.ndarray:
        """``(count,)`` middles of the bins."""
        return np.round(self.low + self.width * (np.arange(self.count) + 0.5), 6)

    def histogram(self, values: np.ndarray) -> np.ndarray:
        """``(count,)`` float64: how many values lie in each bin."""
        places = np.floor((np.asarray(values, np.float64) - self.low) / self.width)
        places = np.clip(places, 0, self.count - 1).astype(np.int64)
        return np.bincount(places.ravel(), minlength=self.count).astype(np.float64)


# The middles of bins are round numbers: 0.05, 0.10, ... mm, and 5, 10, ... mm.
FEATURES: dict[str, Bins] = {
    **dict.fromkeys(SPACING, Bins(0.025, 0.05, 400)),
    **dict.fromkeys(EXTENT, Bins(2.5, 5.0, 200)),
    ORGAN_HU: Bins(-1024.0, 4.0, 1024),
}
"""Voxel size and extent in mm along right, anterior, superior; HU inside the job's organs."""


def features_of(modality: str) -> tuple[str, ...]:
    """Features of a modality or a set such as ``ct+mr``; intensities have a scale in CT only."""
    return tuple(name for name in FEATURES if name != ORGAN_HU or "ct" in modality.split("+"))


@dataclass(frozen=True)
class CaseFingerprint:
    """What one case adds.

    Attributes:
        spacing: voxel size in mm along right, anterior, superior.
        extent: of the image in mm, in that order.
        organ_hu: share of the organs' voxels in each bin, sums to 1, so that a large organ counts
            no more than a small one; of the CT among several images. None where there is no organ
            or no CT.
    """

    spacing: tuple[float, float, float]
    extent: tuple[float, float, float]
    organ_hu: np.ndarray | None = None


def case_fingerprint(case: Case, organs: Sequence[str]) -> CaseFingerprint:
    """Reads and checks image and labels of a case.

    Args:
        case: from a reader, with the images that the job takes.
        organs: the job's organs.

    Raises:
        DataError: the case cannot be used; the message carries no file name.
    """
    volumes = checked_volumes(case.images)
    kind, image = next(volumes)
    labels = read_organs(case, organs, every_file=False)
    if labels is not None:
        labels = on_axes_of(image, labels)
        check_same_grid(image, labels)
    order = np.argsort([int(axis) for axis, _ in nib.io_orientation(image.affine)])
    spacing = [image.spacing[axis] for axis in order]
    extent = [image.spacing[axis] * image.data.shape[axis] for axis in order]
    shares = None
    for name, volume in chain([(kind, image)], volumes):  # all on one grid, or this raises
        if name == "ct" and labels is not None:
            shares = _organ_shares(volume, labels, organs)
    return CaseFingerprint(_triple(spacing), _triple(extent), shares)


@dataclass(frozen=True)
class Fingerprint:
    """What is known of the training cases of one modality, at one site or over several.

    Attributes:
        cases: listed cases.
        counted: feature -> cases that it could be taken from.
        histograms: feature -> cases per bin, ``(bins,)`` float64; sums to ``counted``.
    """

    cases: int
    counted: Mapping[str, int]
    histograms: Mapping[str, np.ndarray]

    def shares(self, feature: str) -> np.ndarray:
        """The histogram of a feature, scaled to the sum 1."""
        found = self.histograms[feature]
        return np.asarray(found / found.sum())


def summarise_cases(modality: str, listed: int, cases: Sequence[CaseFingerprint]) -> Fingerprint:
    """The fingerprint of one site's cases of a modality.

    Args:
        modality: e.g. ``"ct"``.
        listed: training cases, those that could not be read included.
        cases: those that could.
    """
    histograms = {name: np.zeros(FEATURES[name].count) for name in features_of(modality)}
    counted = dict.fromkeys(histograms, 0)
    for case in cases:
        values = dict(zip((*SPACING, *EXTENT), (*case.spacing, *case.extent), strict=True))
        for name, value in values.items():
            histograms[name] += FEATURES[name].histogram(np.array([value]))
            counted[name] += 1
        if ORGAN_HU in histograms and case.organ_hu is not None:
            histograms[ORGAN_HU] += case.organ_hu
            counted[ORGAN_HU] += 1
    return Fingerprint(listed, counted, histograms)


def quantile(shares: np.ndarray, bins: Bins, share: float) -> float:
    """The middle of the bin in which a quantile lies.

    Args:
        shares: ``(bins,)``, sums to 1.
        bins: the feature's bins.
        share: 0 to 1.
    """
    place = int(np.searchsorted(np.cumsum(shares), share - 1e-9))
    return float(bins.centres[min(place, bins.count - 1)])


def _organ_shares(image: Volume, labels: Volume, organs: Sequence[str]) -> np.ndarray | None:
    voxels = image.data[np.isin(labels.data, [CANONICAL.index(organ) + 1 for organ in organs])]
    if not voxels.size:
        return None
    return FEATURES[ORGAN_HU].histogram(voxels) / voxels.size


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
