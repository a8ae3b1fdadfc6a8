"""Small NIfTI volumes and plain data folders for the data tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

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
