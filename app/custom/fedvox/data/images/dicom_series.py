"""What a series' headers must say before its slices are stacked, each fault by its own name.

Anonymisers empty fields that a volume does not need: those are filled in here, in memory.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fedvox.errors import DataError

SAME_PLACE_MM = 0.01
UNEVEN = 0.1
"""Distances of slices may differ by this share: positions are often rounded to a tenth of a mm."""
FARTHEST_MM = 1e5
UNIT = 0.02
"""By so much a direction cosine's length may miss 1, or two of them a right angle."""
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")


def fill_in(files: Sequence[Any]) -> None:
    """Puts a value where an anonymiser left none and none is needed to place or read a voxel.

    The frame of reference comes before: several of them are several coordinate systems.

    Raises:
        DataError: a field is missing that says how numbers are stored, or some slices lack the
            rescale slope or intercept that others have.
    """
    _refuse_frames(files)
    identifiers = {field: next(iter(values_of(files, field)), "1.2") for field in _IDENTIFIERS}
    instances = Counter(str(entry.get("SOPInstanceUID") or "") for entry in files)
    for number, entry in enumerate(files, start=1):
        _fill_syntax(entry)
        if not entry.get("SOPClassUID"):
            entry.SOPClassUID = _class_of(str(entry.get("Modality") or ""))
        if not entry.get("SOPInstanceUID") or instances[str(entry.SOPInstanceUID)] > 1:
            entry.SOPInstanceUID = f"1.2.{number}"
        for field, value in identifiers.items():
            if not entry.get(field):
                setattr(entry, field, value)
        if entry.get("SamplesPerPixel") is None:
            entry.SamplesPerPixel = 1
        if not entry.get("PhotometricInterpretation"):
            entry.PhotometricInterpretation = "MONOCHROME2"
    _check_numbers(files)


def _refuse_frames(files: Sequence[Any]) -> None:
    frames = set(values_of(files, "FrameOfReferenceUID"))
    if len(frames) > 1:
        raise DataError(
            f"the DICOM slices lie in {len(frames)} frames of reference, so their places cannot be "
            "compared; keep the slices of one in the folder, or export the series again"
        )


def values_of(files: Sequence[Any], field: str) -> list[str]:
    """A field's values in the slices, without those that an anonymiser emptied."""
    return [
        text
        for entry in files
        if (text := str("" if entry.get(field) is None else entry.get(field)).strip())
    ]


def _fill_syntax(entry: Any) -> None:
    """The transfer syntax of a file without preamble is that in which it could be read."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not hasattr(entry, "file_meta"):
        entry.file_meta = FileMetaDataset()
    if not entry.file_meta.get("TransferSyntaxUID"):
        implicit, little = entry.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        entry.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _class_of(modality: str) -> str:
    from pydicom.uid import CTImageStorage, MRImageStorage

    return MRImageStorage if modality == "MR" else CTImageStorage


def _check_numbers(files: Sequence[Any]) -> None:
    for field in _NEEDED:
        if not all(isinstance(entry.get(field), int) for entry in files):
            raise DataError(
                f"the DICOM images do not say how their numbers are stored ({field} is missing or "
                "no single number); export the series again"
            )
    for field in ("RescaleSlope", "RescaleIntercept"):
        missing = [entry for entry in files if entry.get(field) in (None, "")]
        if 0 < len(missing) < len(files):
            raise DataError(
                f"{len(missing)} of {len(files)} DICOM slices lack the {field} that the others "
                "have; export the series again"
            )
        for entry in missing:
            if field in entry:
                delattr(entry, field)
    slopes = [float(entry.get("RescaleSlope", 1)) for entry in files]
    if not np.isfinite(slopes).all() or not all(slopes):
        raise DataError(
            "the DICOM images' RescaleSlope is 0 or no number, so what was measured is unknown; "
            "export the series again"
        )


def straighten(files: Sequence[Any]) -> float:
    """Makes direction cosines unit vectors at right angles where rounding kept them from it.

    Where they point is not to be mended: two decimals may turn them by a third of a degree.

    Returns:
        By how much their lengths missed 1 at most.

    Raises:
        DataError: they miss it by more than :data:`UNIT`.
    """
    missed = 0.0
    for entry in files:
        row, column = np.array(entry.ImageOrientationPatient, dtype=float).reshape(2, 3)
        lengths = np.linalg.norm([row, column], axis=1)
        if not np.isfinite(lengths).all() or (np.abs(lengths - 1) > UNIT).any():
            raise DataError(
                f"the DICOM images' direction cosines have the lengths {lengths[0]:.3f} and "
                f"{lengths[1]:.3f} and not 1; export the series again"
            )
        missed = max(missed, float(np.abs(lengths - 1).max()))
        row, column = row / lengths[0], column / lengths[1]
        slant = float(row @ column)
        if abs(slant) > UNIT:
            raise DataError(
                "the DICOM images' rows and columns are not at right angles; resample the series "
                "to NIfTI first"
            )
        column = column - slant * row
        column /= np.linalg.norm(column)
        entry.ImageOrientationPatient = [float(f"{value:.12g}") for value in (*row, *column)]
    return missed


def check_places(files: Sequence[Any]) -> None:
    """Refuses slices of which two lie at one place, or between which one is missing.

    Raises:
        DataError: says which of the two, and how often.
    """
    row, column = np.array(files[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    positions = np.array([entry.ImagePositionPatient for entry in files], dtype=float)
    if not (np.abs(positions) < FARTHEST_MM).all():  # nor NaN
        raise DataError("the DICOM images do not say where they lie; export the series again")
    places = positions @ np.cross(row, column)
    order = np.argsort(places, kind="stable")
    steps = np.diff(places[order])
    if (steps < SAME_PLACE_MM).any():
        _refuse_doubled([files[index] for index in order], steps >= SAME_PLACE_MM)
    if len(steps) > 1:
        _refuse_gaps(steps)


def _refuse_doubled(ordered: Sequence[Any], new: np.ndarray) -> None:
    """Tells copies of files from several volumes that share their places."""
    place = np.concatenate([[0], np.cumsum(new)])
    groups = [
        [ordered[index] for index in np.flatnonzero(place == k).tolist()]
        for k in range(int(place[-1]) + 1)
    ]
    copies = sum(len(group) - len({entry.PixelData for entry in group}) for group in groups)
    extra = len(ordered) - len(groups)
    if copies == extra:
        raise DataError(
            f"among the {len(ordered)} DICOM slices are copies of others: {extra}; take the copies "
            "out of the folder"
        )
    if len(groups) == 1:
        raise DataError(
            f"all {len(ordered)} DICOM slices lie at one place, as a series over time does; a "
            "volume is needed: name another series"
        )
    raise DataError(
        f"{len(ordered)} DICOM slices lie at {len(groups)} places, as several time points, echoes "
        "or contrasts in one series do; keep one of them in the folder"
    )


def _refuse_gaps(steps: np.ndarray) -> None:
    usual = float(np.median(steps))
    times = np.rint(steps / usual)
    if (np.abs(steps - usual) <= UNEVEN * usual).all():
        return
    if (np.abs(steps - times * usual) <= UNEVEN * usual).all() and (times >= 1).all():
        number = int((times - 1).sum())
        raise DataError(
            f"DICOM slices are missing between the others: {number}, where those lie {usual:.2f} "
            "mm apart; copy the whole series again"
        )
    raise DataError(
        f"the DICOM slices are uneven, {steps.min():.2f} to {steps.max():.2f} mm apart; copy the "
        "whole series again, or resample it to NIfTI"
    )
