"""Networks with index tables and learned positions as files: model, TorchScript and bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fedvox.inference.model_files.bundle import write_bundle
from fedvox.inference.model_files.bundle_parts import segmenter_of
from fedvox.inference.model_files.model_file import (
    TrainedModel,
    describe_model,
    read_model,
    write_model,
)
from fedvox.inference.model_files.torchscript import loaded_segmenter, read_torchscript
from fedvox.inference.predict import Predictor
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of

NETWORKS = {
    "swin_unetr": (
        {"feature_size": 12, "depths": [1, 2, 1, 1], "heads": [1, 2, 2, 4], "window": 4},
        [64, 32, 32],
    ),
    "unetr": ({"feature_size": 2, "hidden": 12, "mlp": 24, "heads": 2}, [32, 32, 32]),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def trained(request: pytest.FixtureRequest, tmp_path_factory) -> TrainedModel:
    """A model with its initial weights, written and read."""
    network, patch = NETWORKS[request.param]
    data = {"organs": ["liver"], "modalities": ["ct"], "spacing": [9, 9, 9], "patch": patch}
    job = job_from({"name": "j", "data": data, "network": {"name": request.param, **network}})
    weights = weights_of(initial_model(job))
    folder = tmp_path_factory.mktemp(request.param)
    return read_model(write_model(folder, weights, describe_model(job, weights, 1, True, ["ct"])))


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(trained, folder)
    return folder


def windows(trained: TrainedModel) -> torch.Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, *trained.job.data.patch, generator=source)


def test_the_file_holds_floating_tensors_only(trained):
    assert {array.dtype for array in trained.weights.values()} == {np.dtype(np.float32)}
    assert not any("index" in name for name in trained.weights)


@torch.no_grad()
def test_the_program_gives_bit_equal_probabilities(trained, bundle):
    module, job = read_torchscript(bundle / "models/model.ts")
    assert job == trained.job
    segmenter = loaded_segmenter(trained)
    for window in windows(trained).split(1):
        assert torch.equal(module(window), segmenter(window))


@torch.no_grad()
def test_the_bundle_gives_bit_equal_probabilities(trained, bundle):
    settings = json.loads((bundle / "configs/inference.json").read_text())
    network = settings["network_def"]
    rebuilt = segmenter_of(settings["job"], network["normalisation"]).eval()
    rebuilt.load_state_dict(torch.load(bundle / "models/model.pt", weights_only=True))
    window = windows(trained)[:1]
    assert torch.equal(rebuilt(window), loaded_segmenter(trained)(window))
    needed = json.loads((bundle / "configs/metadata.json").read_text())["required_packages_version"]
    assert "einops" in needed


def test_a_scan_is_predicted_on_its_own_grid(trained, scan_of):
    import nibabel as nib

    scan = scan_of("ct")
    labels = Predictor(trained).predict({"ct": scan}).labels.data
    assert labels.shape == nib.load(scan).shape
