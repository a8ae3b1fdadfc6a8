"""Small NIfTI volumes, DICOM series and plain data folders for the data tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fedvox.data.case import Case, LabelFile

AFFINE = np.array([[3.0, 0, 0, -15], [0, 3.0, 0, -12], [0, 0, 4.0, -20], [0, 0, 0, 1]])


@pytest.fixture(scope="session")
def write_nifti() -> Callable[..., Path]:
    """Writes an array as NIfTI: ``write_nifti(path, array, affine)``."""

    def write(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, affine), path)
        return path

    return write


@pytest.fixture(scope="session")
def make_plain_site(write_nifti: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a plain folder with one case per name: liver (1) and spleen (2) as two boxes."""

    def make(root: Path, names: Sequence[str], table: object = None) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            label = np.zeros((10, 11, 12), np.uint8)
            label[1:5, 2:6, 2:7] = 1
            label[6:9, 6:9, 6:11] = 2
            image = (100 * label + rng.normal(0, 10, label.shape)).astype(np.int16)
            write_nifti(root / "images" / f"{name}.nii.gz", image)
            write_nifti(root / "labels" / f"{name}.nii.gz", label)
        table = {"liver": 1, "spleen": 2} if table is None else table
        (root / "labels.json").write_text(json.dumps(table))
        return root

    return make


@pytest.fixture(scope="session")
def write_series() -> Callable[..., Path]:
    """Writes ``(columns, rows, slices)`` as one DICOM file per slice.

    ``write_series(folder, array, affine)``; ``names`` are the files' names by slice, ``change`` may
    alter each dataset before it is written.
    """

    def write(
        folder: Path,
        data: np.ndarray,
        affine: np.ndarray = AFFINE,
        names: Sequence[str] | None = None,
        slope: float = 1.0,
        intercept: float = -1024.0,
        change: Callable[[Dataset, int], None] = lambda dataset, place: None,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for place in range(data.shape[2]):
            stored = np.rint((data[:, :, place].T - intercept) / slope).astype(np.uint16)
            dataset = slice_dataset(stored, np.diag([-1, -1, 1, 1]) @ affine, place)
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
            change(dataset, place)
            name = names[place] if names else f"IMG-{place:04d}.dcm"
            dataset.save_as(folder / name, enforce_file_format=True)
        return folder

    return write


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


@pytest.fixture
def case(tmp_path: Path, make_plain_site: Callable[..., Path]) -> Case:
    """One CT case of a plain folder, named as hospitals must not."""
    name = "miller_anna_1955"
    root = make_plain_site(tmp_path / "site", [name])
    label = LabelFile(root / "labels" / f"{name}.nii.gz", {1: "liver", 2: "spleen"})
    return Case(name, name, {"ct": root / "images" / f"{name}.nii.gz"}, (label,))


@pytest.fixture
def dicom_case(tmp_path: Path, write_series: Callable[..., Path]) -> Case:
    """A CT series whose liver is the bright half, labelled by PNG."""
    array = np.random.default_rng(0).integers(-500, -100, (8, 8, 6)).astype(np.int16)
    array[:4] += 600
    (tmp_path / "png").mkdir()
    for place in range(6):
        grey = np.where(array[:, :, place].T > 0, 255, 0).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / "png" / f"{place}.png")
    label = LabelFile(tmp_path / "png", {255: "liver"})
    return Case("a", "a", {"ct": write_series(tmp_path / "dicom", array)}, (label,))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where prepared cases go."""
    return tmp_path / "cache"


@pytest.fixture
def stored_label(case: Case) -> np.ndarray:
    """The voxels of the case's label file: liver 1, spleen 2."""
    return np.asarray(nib.load(case.labels[0].path).dataobj)
