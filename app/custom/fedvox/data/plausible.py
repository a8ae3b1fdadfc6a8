"""Do a scan's numbers agree with the modality that someone named?"""

from fedvox.data.nifti import Volume
from fedvox.errors import DataError

AIR_HU = -300
AIR_SHARE = 0.05


def check_modality(volume: Volume, modality: str) -> None:
    """Refuses a scan whose numbers contradict the named modality: air at −1000 HU tells a CT.

    Raises:
        DataError: names what the numbers say.
    """
    cold = float((volume.data < AIR_HU).mean())
    if modality == "ct" and volume.data.min() >= 0:
        raise DataError("the scan has no value below 0, as a CT in HU has; name another modality")
    if modality != "ct" and cold > AIR_SHARE:
        raise DataError(
            f"{cold:.0%} of the scan lies below {AIR_HU}, as air in a CT does; its modality is ct"
        )
