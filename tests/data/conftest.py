"""Single cases and DICOM series for the data tests."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from plain_site import AFFINE

from faults.series import write_series as write_series_of
from fedvox.data.cases.case import Case, LabelFile


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
