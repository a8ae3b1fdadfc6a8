"""A model with the parts for some modalities: one that a site completed with its own tensors."""

import json

import pytest
import torch

from fedvox.errors import ModelError
from fedvox.inference.model_files.bundle import write_bundle
from fedvox.inference.model_files.bundle_parts import segmenter_of
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.inference.model_files.torchscript import loaded_segmenter, read_torchscript
from fedvox.inference.predict import loaded
from fedvox.job.model import initial_model, modalities_of, model_of
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of

CHANNELS = ("t1", "t2", "flair")
JOB = job_from(
    {
        "name": "modal",
        "data": {
            "organs": ["tumour_oedema"],
            "modalities": CHANNELS,
            "channels": CHANNELS,
            "missing_channels": True,
            "patch": [16, 16, 16],
        },
        "network": {"name": "mixmodal", "channels": [4, 8]},
        "training": {"device": "cpu"},
    }
)


@pytest.fixture(params=[["t1"], ["t1+flair"], list(CHANNELS)], ids=["one", "two", "all"])
def trained(request, tmp_path):
    weights = weights_of(initial_model(JOB, request.param))
    description = describe_model(JOB, weights, 1, True, request.param)
    return read_model(write_model(tmp_path / "model", weights, description))


@torch.no_grad()
def test_it_predicts_and_exports_alike(trained, tmp_path):
    window = torch.rand(1, 3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    window[:, 1] = 0
    expected = loaded_segmenter(trained)(window)
    network, _ = loaded(trained)
    assert modalities_of(JOB, weights_of(network)) == modalities_of(JOB, trained.weights)

    write_bundle(trained, tmp_path / "bundle")
    module, _ = read_torchscript(tmp_path / "bundle/models/model.ts")
    torch.testing.assert_close(module(window), expected)
    told = json.loads((tmp_path / "bundle/configs/inference.json").read_text())
    network = {name: own for name, own in told["network_def"].items() if name != "_target_"}
    rebuilt = segmenter_of(**{**network, "settings": told["job"]}).eval()
    rebuilt.load_state_dict(torch.load(tmp_path / "bundle/models/model.pt", weights_only=True))
    assert torch.equal(rebuilt(window), expected)


def test_half_an_encoder_is_another_network():
    weights = weights_of(initial_model(JOB, ["t1"]))
    del weights["tailored.t1.0.0.0.weight"]
    with pytest.raises(ModelError, match="another network: 1 tensors missing"):
        model_of(JOB, weights)
