"""A tiny model and tiny scans for `fedvox predict`."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fedvox.commands.main import main
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model

AFFINE = np.array([[0, -5.0, 0, 60], [6.0, 0, 0, -40], [0, 0, -4.0, 30], [0, 0, 0, 1]])


@pytest.fixture
def model(make_model: Callable[..., Path]) -> Path:
    return make_model("ct", "mr")


@pytest.fixture
def write_scan() -> Callable[..., Path]:
    """Writes voxels as NIfTI, rows to the front and slices to the feet."""

    def write(path: Path, data: np.ndarray) -> Path:
        image = nib.Nifti1Image(data, AFFINE)
        image.header["descrip"] = b"kept"
        image.set_sform(AFFINE, 1)
        image.set_qform(AFFINE, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
        return path

    return write


@pytest.fixture
def mr_voxels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(300, 100, (20, 24, 18)).clip(0).astype(np.int16)


@pytest.fixture
def ct_voxels() -> np.ndarray:
    """Air in half of the field of view."""
    data = np.random.default_rng(0).normal(0, 50, (16, 18, 14)).astype(np.int16)
    data[:8] -= 1000
    return data


@pytest.fixture
def scan(tmp_path: Path, write_scan: Callable[..., Path], mr_voxels: np.ndarray) -> Path:
    return write_scan(tmp_path / "scan.nii.gz", mr_voxels)


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """Writes ``(columns, rows, slices)`` of HU as a series with voxels of 2 x 3 x 4 mm."""

    def write(folder: Path, data: np.ndarray) -> Path:
        folder.mkdir(parents=True)
        for place in range(data.shape[2]):
            dataset = Dataset()
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.3.{place + 1}"
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.4", "1.2.5"
            dataset.FrameOfReferenceUID = "1.2.6"
            dataset.Modality, dataset.PatientName = "CT", "Miller^Anna"
            dataset.SeriesNumber, dataset.InstanceNumber = 3, place + 1
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            dataset.ImagePositionPatient = [0, 0, 4 * place]
            dataset.PixelSpacing = [3, 2]
            dataset.Columns, dataset.Rows = data.shape[:2]
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
            dataset.PixelRepresentation = 0
            dataset.RescaleSlope, dataset.RescaleIntercept = 1, -2048
            stored = (data[:, :, place].T.astype(int) + 2048).astype(np.uint16)
            dataset.PixelData = np.ascontiguousarray(stored).tobytes()
            dataset.save_as(folder / f"IMG{place:03d}.dcm", enforce_file_format=True)
        return folder

    return write


@pytest.fixture
def predict(model: Path) -> Callable[..., int]:
    """Runs the command; an MRI unless another modality is named."""

    def call(scan: Path, output: Path, *more: str | Path, model: Path = model) -> int:
        words = ["--model", model, "--input", scan, "--modality", "mr", "--output", output]
        return main(["predict", *map(str, [*words, "--threads", 1, *more])])

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., None]:
    """Looks whether the command said these words in one line, and left no labels behind."""

    def look(*words: str) -> None:
        error = capsys.readouterr().err
        assert error.startswith("fedvox: error: ") and error.count("\n") == 1
        for word in words:
            assert word in error
        assert not list(tmp_path.glob("seg*")) and not list(tmp_path.glob(".writing*"))

    return look


@pytest.fixture
def blind(model: Path, tmp_path: Path) -> Path:
    """A model that calls everything background."""
    trained = read_model(model)
    weights = {name: array.copy() for name, array in trained.weights.items()}
    for name, array in weights.items():
        if array.shape == (3,):  # the biases of its three classes
            weights[name] = np.array([1e4, 0, 0], array.dtype)
    description = describe_model(trained.job, weights, 1, True, ["ct", "mr"])
    return write_model(tmp_path / "blind", weights, description)
