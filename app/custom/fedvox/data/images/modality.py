"""What a scan's numbers say about its modality, and whether those of a CT are Hounsfield units.

One mechanism for `check`, for preparing cases and for `predict`. It looks at measured voxels only:
padding below 0 makes no CT of an MRI, nor Hounsfield units of other numbers. A CT in HU has air
near -1000, fat near -100 and everything soft near 0 to 100, and spans hundreds of HU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedvox.data.images.nifti import Volume
from fedvox.data.images.slabs import thinned
from fedvox.data.images.tissue import measured_values
from fedvox.errors import DataError

IS_CT = "its modality is ct"
NAME_OR_EXPORT = "name its modality, or export it in HU if it is a CT"
"""What to do about a single scan."""
AIR_HU = -300
AIR_SHARE = 0.05
FAT_HU = -50
FAT_SHARE = 0.001
LEAST_SPAN = 15
"""Percentiles 0.5 and 99.5 of any CT in HU, of one organ too, lie farther apart: noise alone does
that. Numbers scaled to [-1, 1], [0, 1] or to z-scores do not."""
WIDE_SPAN = 300
"""A scan of one organ spans less; what spans more holds fat or air if it is in HU."""
WATER_OFFSET = 1024
"""Where water lies in a CT whose rescale intercept was lost."""
OFFSETS = (WATER_OFFSET, 8192, 32768)
"""Intercepts of scanners, without their sign; the last one comes from numbers without sign."""
NEAR_WATER = 150
"""Fat, water, muscle and organs lie within so many HU of 0."""
SOFT_BELOW = 600
"""Lungs and air lie farther below water."""
DENSE_HU, DENSE_SHARE = 300, 0.4
"""Bone and contrast agent fill less than this share of a scan that shows hardly any air."""
LARGEST_HU = 3100
"""Of bone; only metal lies above."""
LOWEST_HU, HIGHEST_HU = -4000, 40_000
"""Beyond these lies no large part of a scan: air is -1000, and padding does not count. Higher than
:data:`OFFSETS`, which have a remedy of their own."""
FOREIGN = {
    "PT": "PET",
    "NM": "nuclear medicine",
    "US": "ultrasound",
    **dict.fromkeys(("CR", "DX", "MG", "XA", "RF"), "X-ray projection"),
}
"""What a DICOM header calls modalities that no job trains -> in words."""
MOST_LABELS = 8
"""A scan has more different numbers, of 8 bits and after any scaling too."""
FEW_OF, FEW = 1000, 200_000
"""How many voxels that takes at least, and how many are looked at."""
GREY = 255
"""The largest number of 8 bits."""


@dataclass(frozen=True)
class ModalityGuess:
    """A scan's modality and how it is known.

    Attributes:
        modality: e.g. ``ct``.
        reason: why, in words for a report.
    """

    modality: str
    reason: str


def check_modality(volume: Volume, modality: str) -> None:
    """Refuses a scan whose numbers contradict the named modality.

    Raises:
        DataError: names what the numbers say.
    """
    values = measured_values(volume.data)
    _refuse_drawing(volume.data)
    _refuse_told(volume.told, modality)
    if modality == "ct":
        _refuse_no_hounsfield(volume.data, values)
    elif _has_air_of_ct(volume.data, values):
        raise DataError(f"{_air(volume.data)}; {IS_CT}")


def recognise_modality(volume: Volume, known: Sequence[str]) -> ModalityGuess:
    """Recognises a CT; anything else is told only where a single modality is left.

    Args:
        volume: the scan as stored.
        known: modalities that the model was trained for.

    Raises:
        DataError: the numbers leave a choice, tell a modality that the model does not know, or are
            those of a CT but no Hounsfield units.
    """
    told = _tell_by_numbers(volume, known)
    _refuse_told(volume.told, told.modality)
    return told


def _tell_by_numbers(volume: Volume, known: Sequence[str]) -> ModalityGuess:
    values = measured_values(volume.data)
    _refuse_drawing(volume.data)
    others = [name for name in known if name != "ct"]
    if _has_air_of_ct(volume.data, values):
        reason = _air(volume.data)
        if "ct" not in known:
            raise DataError(f"{reason}; the model was trained for {', '.join(known)}")
        _refuse_no_hounsfield(volume.data, values)
        return ModalityGuess("ct", reason)
    if _may_be_ct(volume.data, values):
        offset = _offset(values)
        lost = f"tissue lies around {offset}, as in a CT without its rescale intercept (subtract "
        raise DataError(
            (f"{lost}{offset}), but " if offset else "")
            + f"the numbers do not tell whether it is a CT; name its modality: {', '.join(known)}"
        )
    if not others:
        raise DataError("the numbers are not those of a CT, and the model was trained for CT alone")
    if len(others) > 1:
        raise DataError(
            "it is no CT, and the numbers do not tell which MRI it is; "
            f"name its modality: {', '.join(others)}"
        )
    reason = f"it has no air or fat as in a CT, and the model knows one other modality, {others[0]}"
    return ModalityGuess(others[0], reason)


def _refuse_told(told: str, modality: str) -> None:
    """Refuses a series whose header names another modality.

    Raises:
        DataError: with both.
    """
    if told in FOREIGN:
        raise DataError(f"the DICOM header says {FOREIGN[told]}; leave it out: CT and MRI only")
    if told in ("CT", "MR") and (told == "CT") != (modality == "ct"):
        raise DataError(
            f"the DICOM header says {told}, it is named as {modality}; name it rightly, or leave "
            "it out"
        )


def _refuse_drawing(data: np.ndarray) -> None:
    """Refuses labels that lie in the place of a scan: whole numbers, and hardly one in between.

    Raises:
        DataError: with their number.
    """
    sample = data[thinned(data.shape, FEW)].ravel()
    if sample.size < FEW_OF or (sample != np.rint(sample)).any():
        return
    numbers = len(np.unique(sample))
    if numbers <= MOST_LABELS:
        raise DataError(
            f"the voxels have {numbers} different numbers only, as labels do and no scan does; put "
            "the scan itself there"
        )


def _refuse_no_hounsfield(data: np.ndarray, values: np.ndarray) -> None:
    """Refuses a CT that is none, or whose numbers are not Hounsfield units.

    Args:
        data: all voxels.
        values: the measured ones.

    Raises:
        DataError: with the reason and what to do.
    """
    low, high = np.percentile(values, (0.5, 99.5))
    if high - low < LEAST_SPAN:
        raise DataError(
            f"nearly all numbers of the scan lie within {high - low:.2g}, so they are no HU but "
            "were scaled, as to [-1, 1] or to z-scores; export the scan in HU"
        )
    cold, warm = np.percentile(values, (5, 95))
    if cold < LOWEST_HU or warm > HIGHEST_HU:
        raise DataError(
            f"the numbers of the scan run from {cold:.4g} to {warm:.4g}, far beyond what HU can "
            "be: a wrong slope, most likely; export the scan in HU"
        )
    offset = _offset(values)
    if offset:
        what, remedy = ("lost", "subtract") if offset > 0 else ("applied twice", "add")
        raise DataError(
            f"rescale intercept {what}: tissue lies around {offset} and not around 0 HU; {remedy} "
            f"{abs(offset)}, or export the scan in HU (an MRI is to be named as one)"
        )
    if data.min() >= 0:
        raise DataError(f"the scan has no value below 0, as a CT in HU has; {NAME_OR_EXPORT}")
    if _is_grey(data, values):
        raise DataError(
            "the numbers of the scan are grey values from 0 to 255 and not HU; export it in HU"
        )
    if _lacks_fat_and_air(values, high):
        raise DataError(
            f"but for padding hardly a value of the scan lies below {FAT_HU}, as fat and air in a "
            f"CT do; {NAME_OR_EXPORT}"
        )


def _offset(values: np.ndarray) -> int:
    """The lost intercept of a CT (positive), one applied twice (negative), or 0."""
    for offset in OFFSETS:
        upper = values[values > offset - SOFT_BELOW]
        if len(upper) < 0.02 * len(values) or _share(values < FAT_HU) > 0.02:
            continue
        if _share(np.abs(upper - offset) < NEAR_WATER) > 0.5:
            return offset
    lower = values[values > -1300]
    twice = (
        _share(values < -1300) > 0.1
        and lower.size
        and _share(np.abs(lower + WATER_OFFSET) < NEAR_WATER) > 0.5
        and _share(np.abs(lower) < NEAR_WATER) < 0.02
    )
    return -WATER_OFFSET if twice else 0


def _is_grey(data: np.ndarray, values: np.ndarray) -> bool:
    """Whether 8 bits of grey lie within padding: air and bone were cut off at 0 or 255."""
    if values[0] < 0 or values[-1] > GREY:
        return False
    cut = _share(data == 0), _share(data == GREY)
    return max(cut) > 0.01 and float(np.ptp(np.percentile(values, (0.5, 99.5)))) > GREY / 2


def _lacks_fat_and_air(values: np.ndarray, high: float) -> bool:
    """Whether numbers run from about 0 to far above, as in an MRI and in no CT."""
    cold = _share(values < FAT_HU)
    if cold > FAT_SHARE:  # of an MRI's noise, perhaps
        most = DENSE_SHARE if high < LARGEST_HU else DENSE_SHARE / 2
        return _share(values < AIR_HU) < 0.01 and _share(values > DENSE_HU) > most
    dark = _share(np.abs(values) < 0.1 * high)
    noise_around_0 = _share(values < 0) > 0.05  # as in water, and hardly in an MRI
    return high > WIDE_SPAN or (high > 100 and dark > 0.2 and not noise_around_0)


def _has_air_of_ct(data: np.ndarray, values: np.ndarray) -> bool:
    """Whether much lies where air does, beside padding, or padding of air beside fat and water."""
    if _share(values < AIR_HU) > AIR_SHARE:
        return True
    if _share(data < AIR_HU) <= AIR_SHARE:
        return False
    fat = _share((values > -200) & (values < FAT_HU))
    soft = _share(np.abs(values) < 200)
    return fat > 0.01 and soft > 0.5


def _air(data: np.ndarray) -> str:
    return f"{_share(data < AIR_HU):.0%} of the scan lies below {AIR_HU}, as air in a CT does"


def _may_be_ct(data: np.ndarray, values: np.ndarray) -> bool:
    """True where a CT cannot be ruled out: values as of fat, tissue around 1024, or lost units."""
    low, high = np.percentile(values, (0.5, 99.5))
    if _share(values < FAT_HU) > FAT_SHARE or _offset(values) > 0:
        return True
    if high - low < LEAST_SPAN and _share(values < -0.1 * (high - low)) > AIR_SHARE:
        return True  # as in [-1, 1] or z-scores
    return bool(values[0] >= 0) and float(data.max()) in (1, GREY)  # scaled, as any modality may be


def _share(where: np.ndarray) -> float:
    return float(where.mean())
