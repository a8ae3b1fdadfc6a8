"""A checkpoint that runs a program when unpickled, given to every command that reads models."""

import json
import pickle
import shutil

import nibabel
import numpy as np
import pytest
import torch

from fedvox.commands.main import main


@pytest.fixture
def hostile(shared_model, canary, tmp_path):
    """``model.safetensors`` that is none, with the description of a model beside it."""
    shutil.copy(shared_model.with_suffix(".json"), tmp_path / "model.json")
    path = tmp_path / "model.safetensors"
    path.write_bytes(canary())
    return path


@pytest.mark.parametrize("command", ["predict", "export", "evaluate"])
def test_a_checkpoint_with_a_pickle_inside_is_refused_and_never_unpickled(
    hostile, tmp_path, capsys, command
):
    scan, site, out = (tmp_path / name for name in ("scan.nii.gz", "site-1.json", "out.nii.gz"))
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), scan)
    site.write_text(json.dumps({"dataset": "plain", "root": ".", "modalities": ["ct"]}))
    words = {
        "predict": ["--modality", "ct", "--input", str(scan), "--output", str(out)],
        "export": ["--out", str(out)],
        "evaluate": [str(site), "--out", str(out)],
    }[command]
    assert main([command, "--model", str(hostile), *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{hostile}: not a whole safetensors file; copy it again from the run's folder" in line
    assert not out.exists()


def test_the_checkpoint_of_these_tests_runs_its_program_where_it_is_unpickled(canary, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(canary())
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert not (tmp_path / "executed").exists()
    torch.load(path, weights_only=False)
    (tmp_path / "executed").unlink()
