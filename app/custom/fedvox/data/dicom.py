"""DICOM series through highdicom, which refuses missing and uneven slices.

Messages carry no file name and no header field.
"""

from pathlib import Path
from typing import Any

import numpy as np

from fedvox.data.nifti import Volume, check_geometry
from fedvox.errors import DataError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load_series(folder: Path) -> Volume:
    """Reads the one image series of a folder.

    Args:
        folder: DICOM files of one series, in any order and under any names.

    Returns:
        float32 ``(columns, rows, slices)`` after the rescale slope, HU for CT; affine in RAS, mm.

    Raises:
        DataError: no readable series or several, slices missing, or no plain 3D image.
    """
    import highdicom
    import nibabel as nib

    slices = read_slices(folder)
    try:
        stack = highdicom.get_volume_from_series(slices, dtype=np.float32)
    except Exception as error:  # of pydicom, a decoder or highdicom; its text may name a patient
        kind = type(error).__name__
        raise DataError(
            f"the DICOM series does not form one 3D volume ({kind}): slices are missing, uneven or "
            "damaged; export the series again"
        ) from None
    data = np.ascontiguousarray(np.asarray(stack.array).transpose(2, 1, 0))
    affine = (LPS_TO_RAS @ stack.affine)[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    check_geometry(image)
    return Volume(data, image.affine, image.header)


def read_slices(folder: Path) -> list[Any]:
    """The DICOM images of a folder's only series, in the order of their file names.

    Raises:
        DataError: none, or several series.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    slices = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            slices.append(pydicom.dcmread(path))
        except InvalidDicomError:
            continue  # DICOMDIR's text neighbours and such
        except Exception as error:
            kind = type(error).__name__
            raise DataError(f"a DICOM file is damaged ({kind}); copy the series again") from None
    slices = [entry for entry in slices if "PixelData" in entry]
    if not slices:
        raise DataError("the folder holds no DICOM image; name the folder of one series")
    series = {str(entry.get("SeriesInstanceUID", "")) for entry in slices}
    if len(series) > 1:
        raise DataError(f"the folder holds {len(series)} DICOM series; keep one per folder")
    return slices
