"""Small NIfTI volumes, DICOM series and plain data folders for the data tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from faults.series import write_series as write_series_of
from fedvox.data.cases.case import Case, LabelFile

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
    """Writes ``(columns, rows, slices)`` as one DICOM file per slice, see the corpus of faults."""

    def write(folder: Path, data: np.ndarray, affine: np.ndarray = AFFINE, *args, **more) -> Path:
        return write_series_of(folder, data, affine, *args, **more)

    return write


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
