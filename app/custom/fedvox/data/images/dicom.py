"""DICOM series through highdicom, which refuses missing and uneven slices.

Messages carry no file name and no header field.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.data.images.dicom_series import UNEVEN, check_places, fill_in, straighten, values_of
from fedvox.data.images.nifti import Volume, volume_shape
from fedvox.data.images.nifti_grid import read_grid
from fedvox.data.images.png_labels import in_name_order
from fedvox.data.images.scans import lacks_preamble
from fedvox.errors import DataError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CLOSED = "the series may not be read by this user; mend its rights"
_DAMAGED = "a DICOM file is damaged ({}); copy the series again"
SHIFT_MM = 1.0
"""How far slices may lie beside the line through the first one: more is a tilted gantry."""
ROUNDED = 5e-4
"""From here on lengths of direction cosines miss 1 by more than six decimals explain."""
TURN = 0.01
"""How far the direction cosines of slices may differ; highdicom is stricter with small turns."""
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81))
"""Compressions that always lose: JPEG of 8 and 12 bits, JPEG-LS near-lossless. JPEG 2000 may."""


def load_series(folder: Path) -> Volume:
    """Reads the one image series of a folder.

    Args:
        folder: DICOM files of one series, in any order and under any names.

    Returns:
        float32 ``(columns, rows, slices)`` after the rescale slope, HU for CT; affine in RAS, mm;
        ``slices`` tells where each file went.

    Raises:
        DataError: no readable series or several, slices missing, or no plain 3D image.
    """
    import nibabel as nib

    with _silence():
        try:
            files = read_slices(folder)
            _refuse_other_forms(files)
            fill_in(files)
            _refuse_mixed(files)
            missed = straighten(files)
            check_places(files)
            _refuse_tilt(files, missed)
            _refuse_unreadable(files)
            _refuse_short(files)
            data, affine, slices = _stack(files)
        except DataError:
            raise
        except Exception as error:  # of pydicom, a decoder or highdicom; it may name a patient
            kind = type(error).__name__
            raise DataError(
                f"the DICOM series does not form one 3D volume ({kind}): a file is damaged or of "
                "a rare form; copy the series again, or convert it to NIfTI"
            ) from None
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    grid = read_grid(image.header, volume_shape(data.shape))
    told = str(files[0].get("Modality") or "").strip().upper()
    return Volume(data, grid.affine, image.header, slices, _is_lossy(files), told)


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps back pydicom's warnings, which quote the fields of a header."""
    logger = logging.getLogger("pydicom")
    disabled = logger.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = disabled


def read_slices(folder: Path) -> list[Any]:
    """The DICOM images of a folder's only series, in the order of their file names.

    Raises:
        DataError: none, a damaged one, or several series.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        paths = in_name_order([path for path in folder.iterdir() if path.is_file()])
    except PermissionError:
        raise DataError(_CLOSED) from None
    files = []
    for path in paths:
        if path.name.upper() == "DICOMDIR":
            continue
        try:
            options = {"force": True} if lacks_preamble(path) else {}
            files.append(pydicom.dcmread(path, **options))
        except PermissionError:
            raise DataError(_CLOSED) from None
        except Exception as error:
            # Other files may lie beside a series, but an emptied slice must not shorten it.
            is_slice = path.suffix.lower() in (".dcm", ".ima") or not path.stat().st_size
            if is_slice or not isinstance(error, InvalidDicomError):
                raise DataError(_DAMAGED.format(type(error).__name__)) from None
    images = [entry for entry in files if "PixelData" in entry]
    if not images:
        raise DataError(
            "the folder holds no DICOM image itself; put the files of one series right into it"
        )
    if any(_is_emptied(entry, images) for entry in files if "PixelData" not in entry):
        raise DataError(_DAMAGED.format("no pixels"))
    _make_one_series(images)
    return images


def _is_emptied(entry: Any, images: Sequence[Any]) -> bool:
    """Whether a file without pixels was a slice once; reports and the like were none."""
    kind = entry.get("SOPClassUID")
    if kind == "":  # an anonymiser emptied it
        return "Rows" in entry
    return kind is None or kind in {image.get("SOPClassUID") for image in images}


def _make_one_series(files: Sequence[Any]) -> None:
    """Refuses several series.

    Some anonymisers, and CHAOS' among them, give every file identifiers of its own. Such files
    count as one series if series number and grid agree; positions are checked later in any case.
    An identifier that was emptied is no further one.
    """
    named = values_of(files, "SeriesInstanceUID")
    series = list(dict.fromkeys(named))
    sizes = {(str(entry.get("Rows")), str(entry.get("Columns"))) for entry in files}
    alike = len(sizes) == 1 and len(set(values_of(files, "SeriesNumber"))) <= 1
    scrambled = len(series) == len(named) > 2 and alike
    if len(series) > 1 and not scrambled:
        raise DataError(f"the folder holds {len(series)} DICOM series; keep one per folder")
    frame = next(iter(values_of(files, "FrameOfReferenceUID")), "1")
    for entry in files:
        entry.SeriesInstanceUID = next(iter(series), "1")
        if scrambled:
            entry.FrameOfReferenceUID = frame


def _refuse_other_forms(files: Sequence[Any]) -> None:
    for entry in files:
        if int(entry.get("NumberOfFrames") or 1) > 1:
            raise DataError("the DICOM file holds many frames; export single slices, or NIfTI")
        if int(entry.get("SamplesPerPixel") or 1) > 1:
            raise DataError("the DICOM images are coloured; name the folder of the scan itself")
        counts = [_count(entry, "ImagePositionPatient"), _count(entry, "ImageOrientationPatient")]
        if counts != [3, 6]:
            raise DataError("the DICOM images do not say where they lie; export the series again")


def _count(entry: Any, field: str) -> int:
    """How many numbers a field holds; 0 where it is empty or missing."""
    value = entry.get(field)
    return 0 if value is None or isinstance(value, str | float) else len(value)


def _refuse_mixed(files: Sequence[Any]) -> None:
    """Refuses a localizer or another direction beside the series, and slices of several sizes."""
    spacings = [entry.get("PixelSpacing") for entry in files]
    if not all(spacing and min(map(float, spacing)) > 0 for spacing in spacings):
        raise DataError("the DICOM images do not say how large a pixel is; export the series again")
    sizes = {(entry.get("Rows"), entry.get("Columns")) for entry in files}
    if len(sizes) > 1:
        raise DataError(f"the DICOM slices have {len(sizes)} sizes; keep one series per folder")
    shapes = np.array(spacings, dtype=float)
    if not np.allclose(shapes, shapes[0], rtol=1e-3):
        raise DataError("the DICOM slices have several pixel sizes; keep one series per folder")
    directions = np.array([entry.ImageOrientationPatient for entry in files], dtype=float)
    other = int((np.abs(directions - np.median(directions, axis=0)) > TURN).any(axis=1).sum())
    if other:
        raise DataError(
            f"{other} of {len(files)} DICOM slices lie in another direction, as a localizer does; "
            "take them out of the folder"
        )


def _refuse_unreadable(files: Sequence[Any]) -> None:
    """Tells a compression that nothing here decodes from a damaged series."""
    from pydicom.pixels import get_decoder

    for syntax in {entry.file_meta.TransferSyntaxUID for entry in files}:
        try:
            readable = get_decoder(syntax).is_available
        except NotImplementedError:
            readable = False
        if not readable:
            name = syntax.name.replace("/", "-")  # a log would take it for a path
            raise DataError(
                f"nothing here decodes DICOM compressed as '{name}'; export the series "
                "uncompressed, or as RLE, JPEG, JPEG-LS or JPEG 2000"
            )


def _refuse_short(files: Sequence[Any]) -> None:
    """Names slices that are cut off; highdicom and pydicom would not."""
    short = 0
    for entry in files:
        if not entry.file_meta.TransferSyntaxUID.is_encapsulated:
            bits = int(entry.Rows) * int(entry.Columns) * int(entry.BitsAllocated)
            short += len(entry.PixelData) < bits // 8
    if short:
        raise DataError(
            f"{short} of {len(files)} DICOM slices are damaged: they hold fewer pixels than their "
            "header says; copy the series again"
        )


def _is_lossy(files: Sequence[Any]) -> bool:
    """Whether a header says so, or the compression has loss by its kind."""
    return any(
        str(entry.get("LossyImageCompression", "")) == "01"
        or str(entry.file_meta.TransferSyntaxUID) in LOSSY
        for entry in files
    )


def _refuse_tilt(files: Sequence[Any], missed: float) -> None:
    """A tilted gantry shears the volume; highdicom lets 2.5 degrees pass.

    Args:
        files: the slices.
        missed: by how much lengths of direction cosines missed 1, as two decimals make them do.
    """
    positions = np.array([entry.ImagePositionPatient for entry in files], dtype=float)
    row, column = np.array(files[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    beside = (positions - positions[0]) @ np.stack([row, column], axis=1)
    if np.abs(beside).max() > SHIFT_MM:
        far = f"{np.abs(beside).max():.1f} mm"
        shift = f"the DICOM slices are shifted by up to {far} against each other"
        if missed > ROUNDED:
            raise DataError(
                f"{shift}, as with direction cosines that were rounded (their lengths miss 1 by up "
                f"to {missed:.3f}) or a tilted gantry; export the series again with all decimals, "
                "or, if the gantry was tilted, resample it to NIfTI first"
            )
        raise DataError(f"{shift}, as with a tilted gantry; resample the series to NIfTI first")


def _stack(files: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Voxels ``(columns, rows, slices)``, affine in RAS and each file's place along the slices."""
    import highdicom
    from highdicom.spatial import get_series_volume_positions

    _, places = get_series_volume_positions(files, rtol=UNEVEN, orientation_tol=1e-3)
    stack = highdicom.get_volume_from_series(
        files,
        dtype=np.float32,
        apply_real_world_transform=False,
        apply_presentation_lut=False,  # inverts for display what was measured
        rtol=UNEVEN,
        orientation_tol=1e-3,
    )
    voxels = np.asarray(stack.array).transpose(2, 1, 0)
    affine = (LPS_TO_RAS @ stack.affine)[:, [2, 1, 0, 3]]
    return np.ascontiguousarray(voxels), affine, tuple(places or ())
