"""Which kind of file a volume lies in: the forms of NIfTI that are read, and names for the others.

Messages carry no file name.
"""

import bz2
import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from fedvox.errors import DataError

_GZIP, _BZIP2 = b"\x1f\x8b\x08", b"BZh"
_SINGLE, _PAIR, _SINGLE_2, _PAIR_2 = b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0"
_CONVERT = "convert it to NIfTI (.nii.gz), for instance with 3D Slicer"
_BEGINNINGS = (
    (_GZIP, "compressed twice", "unpack it once"),
    (_BZIP2, "compressed twice", "unpack it once"),
    (b"NRRD", "an NRRD volume", _CONVERT),
    (b"ObjectType", "a MetaImage header", _CONVERT),
    (b"NDims", "a MetaImage header", _CONVERT),
    (b"\x89HDF", "an HDF5 file", _CONVERT),
    (b"CDF", "a NetCDF file, as MINC is", _CONVERT),
    (b"\0\0\0\x01\0\0", "a FreeSurfer volume (MGH)", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", "save it as NIfTI with the scan's affine"),
    (b"PK\x03\x04", "a zip archive", "unpack it, and name what lies in it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it, and name what lies in it"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it, or save it as .nii.gz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it, or save it as .nii.gz"),
    (b"\x89PNG", "a PNG picture", "name the scan that it was made from"),
    (b"\xff\xd8\xff", "a JPEG picture", "name the scan that it was made from"),
    (b"II*\0", "a TIFF picture", "name the scan that it was made from"),
    (b"MM\0*", "a TIFF picture", "name the scan that it was made from"),
    (b"%PDF", "a PDF document", "name the scan itself"),
)
"""First bytes, what the file is, and what to do."""


def read_bytes(path: Path) -> tuple[bytes, Any, Any]:
    """Reads a file to its end and tells what it is.

    Returns:
        Unpacked content, nibabel's class for it, and the header as stored (not mended).

    Raises:
        DataError: another kind of file, or a damaged one.
        OSError, EOFError, ValueError, zlib.error: as gzip and bzip2 raise them.
    """
    content = path.read_bytes()
    if not content:
        raise DataError("the file is empty; copy it again")
    _refuse_wrong_ending(path, content)
    if content[:3] == _BZIP2:
        content = bz2.decompress(content)
    elif content[:3] == _GZIP:  # another file called .gz is told by what it is
        content = gzip.decompress(content)
    kind = _kind(path, content)
    header = _header(kind, content)
    _check_number_type(header)
    _check_scaling(header)
    return content, kind, header


def _refuse_wrong_ending(path: Path, content: bytes) -> None:
    """Notices a volume whose name says the wrong thing about its compression."""
    plain = content[344:348] == _SINGLE or content[4:8] == _SINGLE_2
    name = path.name.lower()
    if name.endswith(".gz") and plain:
        raise DataError("the file is not compressed, as .gz in its name says; rename it to .nii")
    if name.endswith(".nii") and content[:3] == _GZIP:  # an .mgz, say, is rightly compressed
        raise DataError("the file is compressed; rename it so that it ends in .nii.gz")


def _kind(path: Path, content: bytes) -> Any:
    """nibabel's class for the content.

    Raises:
        DataError: it is no NIfTI volume of a single file.
    """
    if content[344:348] == _SINGLE:
        return nib.Nifti1Image
    if content[4:8] == _SINGLE_2:
        return nib.Nifti2Image
    for start, name, remedy in _BEGINNINGS:
        if content.startswith(start):
            raise DataError(f"the file is {name} and no NIfTI; {remedy}")
    if content[128:132] == b"DICM":
        raise DataError("the file is a DICOM file and no NIfTI; name the folder of its series")
    if content[257:262] == b"ustar":
        raise DataError("the file is a tar archive and no NIfTI; unpack it")
    half = content[344:348] == _PAIR or content[4:8] == _PAIR_2
    if half or path.name.lower().removesuffix(".gz").endswith((".img", ".hdr")):
        raise DataError(
            "the file is one half of a pair of .hdr and .img, as ANALYZE and some NIfTI are; save "
            "the pair as a single .nii.gz, after a look at its orientation if it is ANALYZE"
        )
    if content[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and len(content) >= 348:
        raise DataError(
            "the header is ANALYZE's or lost NIfTI's mark, so orientation is unknown; export the "
            "scan as NIfTI again"
        )
    raise DataError("the file is damaged or truncated, or no NIfTI; export it again")


def _header(kind: Any, content: bytes) -> Any:
    """The header as it is stored."""
    size = kind.header_class.template_dtype.itemsize
    if len(content) < size:
        raise DataError("the file is damaged or truncated; copy it again")
    return kind.header_class(content[:size], check=False)


def check_offset(header: Any) -> None:
    """Refuses voxels that begin nowhere, or within the header: nibabel takes its bytes for voxels.

    Args:
        header: as stored.

    Raises:
        DataError: with the offset.
    """
    offset = float(header["vox_offset"])
    if not offset.is_integer():  # nor NaN or infinite
        raise DataError(
            f"the header does not say where voxels begin (vox_offset {offset:g} is no whole "
            "number); export it again"
        )
    if offset < header.template_dtype.itemsize + 4:
        raise DataError(
            f"the header says that voxels begin within it (vox_offset {offset:g}); export it again"
        )


def _check_number_type(header: Any) -> None:
    """Refuses a code of the number type that NIfTI does not have, or numpy."""
    code = int(header["datatype"])
    try:
        size = header.get_data_dtype().itemsize
    except KeyError:
        size = 0
    if size == 0:
        raise DataError(
            f"the header's number type (datatype {code}) is none that is read; export it again as "
            "whole numbers or floats of 32 bits"
        )


def _check_scaling(header: Any) -> None:
    """Refuses a slope or intercept that nibabel would replace without a word."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite([slope, intercept]).all():
        raise DataError(
            f"the header's scaling (scl_slope {slope:g}, scl_inter {intercept:g}) is no number; "
            "set scl_slope to 1 and scl_inter to 0 if the stored numbers hold, or export it again"
        )
    if slope == 0 and intercept != 0:
        raise DataError(
            f"the header has an intercept of {intercept:g} and a slope of 0, so programs read "
            "different numbers; set scl_slope to 1, or export it again"
        )


DAMAGED = (OSError, EOFError, zlib.error, ValueError)
"""What gzip, bzip2 and nibabel raise at damaged content."""
