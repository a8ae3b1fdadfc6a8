"""A bundle passes MONAI's own verification and gives the labels of `fedvox predict`, bit by bit."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from jsonschema import ValidationError, validate

from fedvox.data.images.nifti import save_label
from fedvox.errors import ConfigError
from fedvox.inference.model_files import bundle as fedvox_bundle
from fedvox.inference.model_files.bundle import write_bundle
from fedvox.inference.model_files.bundle_parts import PrepareScan, SaveLabels, segmenter_of
from fedvox.inference.model_files.model_file import read_model
from fedvox.inference.predict import Predictor

TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "value_range": {"type": "array", "items": {"type": "number"}},
    },
}
TEXTS = (
    "schema",
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "task",
    "description",
    "authors",
    "copyright",
)
SPECIFICATION = {
    "type": "object",
    "required": [*TEXTS, "required_packages_version", "network_data_format"],
    "properties": {
        **{name: {"type": "string"} for name in TEXTS},
        "required_packages_version": {"type": "object"},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {
                side: {"type": "object", "minProperties": 1, "additionalProperties": TENSOR}
                for side in ("inputs", "outputs")
            },
        },
    },
}
"""What MONAI's schema for metadata asks for, written down from the Bundle Specification."""


@pytest.fixture(scope="module")
def bundle(shared_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    write_bundle(read_model(shared_model), folder)
    return folder


def test_the_bundle_has_the_files_of_the_specification(bundle):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert names == {
        "configs/metadata.json",
        "configs/inference.json",
        "models/model.pt",
        "models/model.ts",
        "docs/README.md",
    }


def test_the_metadata_are_as_the_specification_asks(bundle):
    metadata = json.loads((bundle / "configs/metadata.json").read_text())
    validate(metadata, SPECIFICATION)
    with pytest.raises(ValidationError):
        validate({**metadata, "version": 1}, SPECIFICATION)


def test_monai_verifies_the_metadata(bundle, tmp_path):
    """MONAI takes a schema file that lies there already and loads none."""
    from monai.bundle import verify_metadata

    (tmp_path / "schema.json").write_text(json.dumps(SPECIFICATION))
    verify_metadata(str(bundle / "configs/metadata.json"), filepath=str(tmp_path / "schema.json"))


def test_monai_verifies_the_network(bundle):
    from monai.bundle import verify_net_in_out

    verify_net_in_out(
        "network_def",
        meta_file=str(bundle / "configs/metadata.json"),
        config_file=str(bundle / "configs/inference.json"),
        device="cpu",
    )


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_monai_runs_it_to_the_labels_of_predict(bundle, tiny_model, scan_of, modality, tmp_path):
    from monai.bundle import run

    scan = scan_of(modality)
    run(
        config_file=str(bundle / "configs/inference.json"),
        meta_file=str(bundle / "configs/metadata.json"),
        bundle_root=str(bundle),
        input=str(scan),
        modality=modality,
        output=str(tmp_path / "bundle.nii.gz"),
        device="$torch.device('cpu')",
    )
    predicted = Predictor(read_model(tiny_model)).predict({modality: scan})
    save_label(tmp_path / "own.nii.gz", predicted.labels.data, predicted.labels)
    own, theirs = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("own", "bundle"))
    assert len(np.unique(own.dataobj)) > 1
    assert np.array_equal(own.dataobj, theirs.dataobj)
    assert own.header == theirs.header


def test_the_weights_load_without_code(bundle, tiny_model):
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    own = read_model(tiny_model).weights
    assert {name.removeprefix("network.") for name in weights} >= set(own)
    for name, array in own.items():
        assert np.array_equal(weights[f"network.{name}"].numpy(), array)


def test_an_existing_folder_is_left_alone(bundle, shared_model, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(ConfigError, match="it exists already"):
        write_bundle(read_model(shared_model), folder)
    assert (folder / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "words"), [("seg.nii.gz", "it exists already"), ("seg.png", "the name must end in")]
)
def test_a_bundle_never_replaces_a_file_or_names_it_wrongly(tmp_path, name, words):
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=words):
        SaveLabels(str(tmp_path / name))


def test_an_export_that_was_overtaken_leaves_the_first(tiny_model, tmp_path, monkeypatch):
    trained, folder = read_model(tiny_model), tmp_path / "bundle"

    def overtake(*arguments):
        (folder / "docs").mkdir(parents=True)

    monkeypatch.setattr(fedvox_bundle, "write_torchscript", overtake)
    with pytest.raises(OSError, match="not empty"):
        write_bundle(trained, folder)
    assert [path.name for path in folder.rglob("*")] == ["docs"]
    assert list(tmp_path.glob(".writing-*")) == []


def test_a_failed_export_leaves_nothing(tiny_model, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(read_model(tiny_model), tmp_path / "out/bundle")
    assert list((tmp_path / "out").iterdir()) == []


def test_another_modality_than_the_models_is_refused(tiny_model):
    settings = read_model(tiny_model).description["settings"]
    with pytest.raises(ConfigError, match="the model was trained for ct, mr"):
        PrepareScan(settings, "flair")


@pytest.mark.parametrize("normalisation", [None, {"centre": 0.5, "scale": 0.25}])
def test_a_bundle_of_another_preprocessing_is_refused_with_what_to_do(tiny_model, normalisation):
    settings = read_model(tiny_model).description["settings"]
    with pytest.raises(ConfigError, match=r"every window by itself.* or train again"):
        segmenter_of(settings, normalisation)
