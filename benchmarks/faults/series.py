"""DICOM series of CT slices, written from an array."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def write_series(
    folder: Path,
    data: np.ndarray,
    affine: np.ndarray,
    names: Sequence[str] | None = None,
    slope: float = 1.0,
    intercept: float = -1024.0,
    change: Callable[[Dataset, int], object] = lambda dataset, place: None,
) -> Path:
    """Writes ``(columns, rows, slices)`` as one DICOM file per slice.

    Args:
        folder: where to.
        data: the numbers after slope and intercept, e.g. HU.
        affine: voxel to world (RAS, mm).
        names: the files' names by slice.
        slope: rescale slope.
        intercept: rescale intercept.
        change: alters each dataset before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(data.shape[2]):
        stored = np.rint((data[:, :, place].T - intercept) / slope).astype(np.uint16)
        dataset = slice_dataset(stored, np.diag([-1, -1, 1, 1]) @ affine, place)
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        change(dataset, place)
        name = names[place] if names else f"IMG-{place:04d}.dcm"
        dataset.save_as(folder / name, enforce_file_format=True)
    return folder


def slice_dataset(pixels: np.ndarray, affine: np.ndarray, place: int) -> Dataset:
    """One CT slice of a series, rows by columns, under an affine in LPS."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.3.{place + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.4", "1.2.5"
    dataset.FrameOfReferenceUID = "1.2.6"
    dataset.Modality, dataset.PatientName = "CT", "Miller^Anna"
    dataset.SeriesNumber, dataset.InstanceNumber = 3, place + 1
    dataset.ImageOrientationPatient = [
        float(f"{value:.10g}") for value in (affine[:3, :2] / spacing[:2]).T.ravel()
    ]
    position = affine @ [0, 0, place, 1]
    dataset.ImagePositionPatient = [float(f"{value:.10g}") for value in position[:3]]
    dataset.PixelSpacing = [float(f"{spacing[axis]:.10g}") for axis in (1, 0)]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    return dataset
