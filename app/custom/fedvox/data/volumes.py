"""Images whatever they lie in: a NIfTI file, or a folder with one DICOM series."""

from pathlib import Path

from fedvox.data import nifti
from fedvox.data.dicom import load_series
from fedvox.data.nifti import Volume, check_values


def load_image(path: Path) -> Volume:
    """Reads an image as float32.

    Args:
        path: NIfTI file, or folder of one DICOM series.

    Raises:
        DataError: it cannot be used; says why, without a file name.
    """
    if not path.is_dir():
        return nifti.load_image(path)
    volume = load_series(path)
    check_values(volume.data)
    return volume
