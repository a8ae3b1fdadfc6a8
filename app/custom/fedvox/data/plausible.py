"""What a scan's numbers say about its modality: air at −1000 HU tells a CT."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedvox.data.nifti import Volume
from fedvox.errors import DataError

AIR_HU = -300
AIR_SHARE = 0.05
FAT_HU = -50
FAT_SHARE = 0.001
WATER_OFFSET = 1024
"""Where water lies in a CT whose rescale intercept was lost."""


@dataclass(frozen=True)
class Told:
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
    cold = _share_of_air(volume)
    if modality == "ct" and volume.data.min() >= 0:
        raise DataError("the scan has no value below 0, as a CT in HU has; name another modality")
    if modality != "ct" and cold > AIR_SHARE:
        raise DataError(
            f"{cold:.0%} of the scan lies below {AIR_HU}, as air in a CT does; its modality is ct"
        )


def tell_modality(volume: Volume, known: Sequence[str]) -> Told:
    """Recognises a CT; anything else is told only where a single modality is left.

    Args:
        volume: the scan as stored.
        known: modalities that the model was trained for.

    Raises:
        DataError: the numbers leave a choice, or tell a modality that the model does not know.
    """
    cold, others = _share_of_air(volume), [name for name in known if name != "ct"]
    if cold > AIR_SHARE:
        reason = f"{cold:.0%} of the scan lies below {AIR_HU}, as air in a CT does"
        if "ct" not in known:
            raise DataError(f"{reason}; the model was trained for {', '.join(known)}")
        return Told("ct", reason)
    if _may_be_ct(volume.data):
        raise DataError(
            f"the numbers do not tell whether it is a CT; name its modality: {', '.join(known)}"
        )
    if not others:
        raise DataError("the numbers are not those of a CT, and the model was trained for CT alone")
    if len(others) > 1:
        raise DataError(
            "it is no CT, and the numbers do not tell which MRI it is; "
            f"name its modality: {', '.join(others)}"
        )
    reason = f"it has no air or fat as in a CT, and the model knows one other modality, {others[0]}"
    return Told(others[0], reason)


def _share_of_air(volume: Volume) -> float:
    return float((volume.data < AIR_HU).mean())


def _may_be_ct(data: np.ndarray) -> bool:
    """True where a CT cannot be ruled out: values as of fat, or tissue around 1024."""
    if (data < FAT_HU).mean() > FAT_SHARE:
        return True
    tissue = data[data > WATER_OFFSET / 3]
    if not tissue.size:
        return False
    return bool((np.abs(tissue - WATER_OFFSET) < 150).mean() > 0.5)
