"""TorchScript gives the probabilities of the model that it was made from, bit by bit."""

import dataclasses

import numpy as np
import pytest
import torch

from fedvox.data.grid.to_grid import restore_labels
from fedvox.errors import ModelError
from fedvox.inference.model_files.bundle_parts import PrepareScan, segment_scan
from fedvox.inference.model_files.model_file import read_model
from fedvox.inference.model_files.torchscript import (
    loaded_segmenter,
    read_torchscript,
    write_torchscript,
)
from fedvox.inference.predict import Predictor


@pytest.fixture(scope="module")
def exported(shared_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.ts"
    write_torchscript(read_model(shared_model), path)
    return path


def test_windows_have_bit_equal_probabilities(exported, tiny_model):
    module, job = read_torchscript(exported)
    windows = torch.rand(3, 1, *job.data.patch, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        segmenter = loaded_segmenter(read_model(tiny_model))
        for window in windows.split(1):  # a batch of several is computed in another order
            own = segmenter(window)
            assert torch.equal(module(window), own)
            assert torch.allclose(own.sum(1), torch.ones(()), atol=1e-6)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_a_scan_gets_the_labels_of_predict(exported, tiny_model, scan_of, modality, monkeypatch):
    from monai.inferers import SlidingWindowInferer

    # On a GPU predict computes in 16 bits; the program here runs on the CPU.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    module, job = read_torchscript(exported)
    inferer = SlidingWindowInferer(
        job.data.patch, 1, job.evaluation.overlap, "gaussian", device="cpu"
    )
    trained = read_model(tiny_model)
    prepare = PrepareScan(trained.description["settings"], modality)
    case = segment_scan(str(scan_of(modality)), prepare, inferer, module, lambda case: case)
    own = Predictor(trained).predict({modality: scan_of(modality)}).labels.data
    assert len(np.unique(own)) > 1
    assert np.array_equal(restore_labels(case["pred"], case["geometry"]), own)


def test_the_settings_travel_with_the_program(exported, tiny_model):
    assert read_torchscript(exported)[1] == read_model(tiny_model).job


@pytest.mark.parametrize("length", [0, 10, 2000])
def test_a_truncated_file_is_refused(exported, tmp_path, length):
    (tmp_path / "cut.ts").write_bytes(exported.read_bytes()[:length])
    with pytest.raises(ModelError, match="not a whole TorchScript file"):
        read_torchscript(tmp_path / "cut.ts")


def test_a_program_of_the_older_preprocessing_is_refused(tiny_model, tmp_path):
    trained = read_model(tiny_model)
    older = dataclasses.replace(trained, description={**trained.description, "format": 1})
    write_torchscript(older, tmp_path / "old.ts")
    with pytest.raises(ModelError, match=r"old\.ts: made by an earlier FedVox"):
        read_torchscript(tmp_path / "old.ts")


def test_a_foreign_program_is_refused(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.rand(2)), str(tmp_path / "other.ts"))
    with pytest.raises(ModelError, match="no description of fedvox"):
        read_torchscript(tmp_path / "other.ts")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.ts: no such file"):
        read_torchscript(tmp_path / "none.ts")
