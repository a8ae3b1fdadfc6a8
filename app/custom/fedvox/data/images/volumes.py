"""Images and labels whatever they lie in: NIfTI, a DICOM series, a stack of PNG."""

from pathlib import Path

from fedvox.data.images import nifti
from fedvox.data.images.dicom import load_series
from fedvox.data.images.nifti import Volume, check_values
from fedvox.data.images.png_labels import load_stack


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


def load_label(path: Path, image: Volume) -> Volume:
    """Reads a label volume as int16.

    Args:
        path: NIfTI file, or folder with one PNG per slice of a DICOM series.
        image: the image that the label belongs to; a DICOM series gives a PNG stack its order and
            its place; any image gives a NIfTI label the order and directions of its axes.

    Raises:
        DataError: it cannot be used; says why, without a file name.
    """
    if path.is_dir():
        return load_stack(path, image)
    return nifti.on_axes_of(image, nifti.load_label(path))


def source_files(path: Path) -> list[Path]:
    """The files that a volume is made of: the path itself, or what lies in the folder.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path.iterdir()) if path.is_dir() else [path]
