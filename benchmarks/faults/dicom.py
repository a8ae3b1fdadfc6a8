"""Faults of DICOM series."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom

from faults.changes import Change, again
from faults.fault import Fault
from faults.room import Room
from fedvox.finding import WARN

Slice = Callable[[Any, int], object]


def slices(change: Slice) -> Change:
    """Changes the datasets of the series."""

    def apply(room: Room) -> None:
        for place, path in enumerate(sorted(room.image().iterdir())):
            dataset = pydicom.dcmread(path)
            change(dataset, place)
            dataset.save_as(path, enforce_file_format=False)

    return apply


def put(**fields: object) -> Change:
    """Sets fields of every slice."""

    def change(dataset: Any, place: int) -> None:
        for name, value in fields.items():
            setattr(dataset, name, value)

    return slices(change)


def tilted(dataset: Any, place: int) -> None:
    """Moves each slice to the front against the one before."""
    x, y, z = (float(value) for value in dataset.ImagePositionPatient)
    dataset.ImagePositionPatient = [x, y + 0.6 * place, z]


def doubled(room: Room) -> None:
    """A slice lies there twice."""
    shutil.copy(room.image() / "IMG-0003.dcm", room.image() / "copy.dcm")


def second_series(room: Room) -> None:
    """The slices of another series lie beside, in the same folder."""
    for path in sorted(room.image().iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.9", 9
        dataset.save_as(path.with_name(f"B{path.name}"), enforce_file_format=False)


def one_series(room: Room) -> None:
    """Keeps one series."""
    for path in room.image().glob("BIMG*"):
        path.unlink()


def second_time(room: Room) -> None:
    """A later time point of the same series."""
    for path in sorted(room.image().iterdir()):
        dataset = pydicom.dcmread(path)
        pixels = np.frombuffer(dataset.PixelData, np.uint16) + 1
        dataset.PixelData = pixels.tobytes()
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.7"
        dataset.save_as(path.with_name(f"B{path.name}"), enforce_file_format=False)


def in_front(room: Room) -> None:
    """Localizer slices of another direction beside the whole series."""
    for number in range(2):
        dataset = pydicom.dcmread(room.image() / f"IMG-000{number}.dcm")
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.SOPInstanceUID = f"1.2.77.{number}"
        dataset.save_as(room.image() / f"BIMG{number}.dcm", enforce_file_format=False)


def as_nifti(room: Room) -> None:
    """The series resampled to NIfTI: what the volume was before it was tilted."""
    shutil.rmtree(room.image())
    plain = room.archive.with_name("plain_ct")
    shutil.copy(plain / "images" / f"{room.label().name}", room.root / "images")


AGAIN = "export the series again"
FAULTS = (
    Fault(
        "missing slice",
        lambda room: (room.image() / "IMG-0007.dcm").unlink(),
        "image",
        "slices are missing between the others: 1, where those lie",
        "copy the whole series again",
        again,
        layout="dicom",
    ),
    Fault(
        "slice twice",
        doubled,
        "image",
        "among the .* DICOM slices are copies of others: 1",
        "take the copies out of the folder",
        lambda room: (room.image() / "copy.dcm").unlink(),
        layout="dicom",
    ),
    Fault(
        "two series in a folder",
        second_series,
        "image",
        "the folder holds 2 DICOM series",
        "keep one per folder",
        one_series,
        layout="dicom",
    ),
    Fault(
        "two time points",
        second_time,
        "image",
        "as several time points, echoes or contrasts in one series do",
        "keep one of them in the folder",
        one_series,
        layout="dicom",
    ),
    Fault(
        "localizer beside the series",
        in_front,
        "image",
        "2 of .* DICOM slices lie in another direction, as a localizer does",
        "take them out of the folder",
        one_series,
        layout="dicom",
    ),
    Fault(
        "emptied slice",
        lambda room: (room.image() / "IMG-0007.dcm").write_bytes(b""),
        "image",
        "a DICOM file is damaged",
        "copy the series again",
        again,
        layout="dicom",
    ),
    Fault(
        "tilted gantry",
        slices(tilted),
        "image",
        "against each other, as with a tilted gantry",
        "resample the series to NIfTI first",
        as_nifti,
        layout="dicom",
    ),
    Fault(
        "series without positions",
        put(ImagePositionPatient=None),
        "image",
        "do not say where they lie",
        AGAIN,
        again,
        layout="dicom",
    ),
    Fault(
        "series without pixel size",
        put(PixelSpacing=None),
        "image",
        "do not say how large a pixel is",
        AGAIN,
        again,
        layout="dicom",
    ),
    Fault(
        "direction cosines of length 0.9",
        put(ImageOrientationPatient=[0.9, 0, 0, 0, 0.9, 0]),
        "image",
        "direction cosines have the lengths 0.900 and 0.900",
        AGAIN,
        again,
        layout="dicom",
    ),
    Fault(
        "series compressed with loss",
        put(LossyImageCompression="01"),
        "compression",
        "compressed with loss",
        "export it from the scanner's archive uncompressed",
        again,
        status=WARN,
        layout="dicom",
    ),
    Fault(
        "rescale intercept lost in DICOM",
        put(RescaleIntercept=0),
        "modality",
        "rescale intercept lost: tissue lies around 1024",
        "subtract 1024",
        put(RescaleIntercept=-1024),
        layout="dicom",
    ),
)
