"""A model whose job lets channels be missing: predicted from any of them."""

import json

import nibabel as nib
import numpy as np
import pytest

from fedvox.commands.main import main
from fedvox.errors import ConfigError
from fedvox.inference.evaluate import predict_labels
from fedvox.inference.model_files.bundle import metadata, write_bundle
from fedvox.inference.model_files.bundle_parts import PrepareScan
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.inference.predict import Options, Predictor
from fedvox.inference.scan_channels import check_names
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of

CHANNELS = ("t1", "t2", "flair")
FORM = "give --input t1=T1.nii.gz --input t2=T2.nii.gz --input flair=FLAIR.nii.gz"


@pytest.fixture
def scans(brats_site):
    name = "BraTS2021_00003"
    return {kind: brats_site / name / f"{name}_{kind}.nii.gz" for kind in CHANNELS}


@pytest.fixture(scope="module")
def lenient(subset_job, tmp_path_factory):
    """A model whose job lets channels be missing; no site trained it with FLAIR."""
    weights = weights_of(initial_model(subset_job))
    description = describe_model(subset_job, weights, 1, True, ["t1+t2", "t1"])
    return write_model(tmp_path_factory.mktemp("lenient"), weights, description)


@pytest.mark.parametrize("given", [("flair",), ("flair", "t1"), ("t2", "t1", "flair")])
def test_any_channels_give_the_labels_of_a_test_case_that_has_no_others(
    lenient, scans, given, open_brats, subset_job, cpu
):
    found = Predictor(read_model(lenient)).predict(
        {name: scans[name] for name in given}, Options(picture=True)
    )
    (case,) = open_brats(given, job=subset_job).test
    expected = predict_labels(initial_model(subset_job), case, subset_job, cpu)
    assert np.array_equal(found.labels.data, expected) and expected.any()
    ordered = [name for name in CHANNELS if name in given]
    assert found.told.modality == case.modality == "+".join(ordered)
    assert found.missing == tuple(name for name in CHANNELS if name not in given)
    shown = nib.load(scans[ordered[0]]).get_fdata(dtype=np.float32)
    assert np.array_equal(found.picture, shown)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "--input: no scan, the model needs at least one; " + FORM + ", or those of them"),
        (("t1", "pet"), "--input pet=...: the model's channels are t1, t2, flair; " + FORM),
        (("",), "takes up to 3 scans of a case (t1, t2, flair), each under its channel's name"),
        (("t1", "auto"), "each under its channel's name; " + FORM),
    ],
)
def test_scans_that_are_no_channel_are_refused_there_too(lenient, tmp_path, names, words):
    with pytest.raises(ConfigError) as error:
        check_names(names, read_model(lenient).job.data)
    assert words in str(error.value)


def predicted(model, folder, scans, *more):
    words = ["predict", "--model", model, "--output", folder / "seg.nii.gz", "--threads", 1]
    words += [part for name, path in scans.items() for part in ("--input", f"{name}={path}")]
    return main([*map(str, words), *map(str, more)])


def test_the_command_says_what_was_missing_and_what_no_site_had(lenient, scans, tmp_path, capsys):
    more = ("--report", tmp_path / "seg.json", "--preview", tmp_path / "seg.png")
    assert predicted(lenient, tmp_path, {"t1": scans["t1"]}, *more) == 0
    record = json.loads((tmp_path / "seg.json").read_text())
    assert (record["modality"], record["channels"]) == ("t1", list(CHANNELS))
    assert (record["missing"], record["untrained"]) == (["t2", "flair"], ["flair"])
    printed = capsys.readouterr()
    assert "given t1, missing t2, flair\n" in printed.out
    assert (
        "note: no scan of t2, flair (the model was trained without flair); the labels come from "
        "t1 alone\n"
    ) in printed.err
    assert "trained without this modality" not in printed.err


def test_the_command_says_which_of_the_given_channels_no_site_had(lenient, scans, tmp_path, capsys):
    given = {name: scans[name] for name in ("flair", "t2")}
    assert predicted(lenient, tmp_path, given, "--json") == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert (record["modality"], record["missing"]) == ("t2+flair", ["t1"])
    assert "note: the model was trained without this modality: flair\n" in printed.err
    assert "note: no scan of t1; the labels come from t2+flair alone\n" in printed.err


def test_a_complete_case_has_nothing_missing(lenient, scans, tmp_path, capsys):
    assert predicted(lenient, tmp_path, scans, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["missing"] == [] and "no scan of" not in printed.err


def test_a_folder_of_scans_is_no_case_of_a_model_that_lets_channels_be_missing(
    lenient, scans, tmp_path, capsys
):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.nii.gz").symlink_to(scans["t1"])
    words = ["predict", "--model", lenient, "--input", folder, "--modality", "t1", "--output"]
    assert main(list(map(str, [*words, tmp_path / "out"]))) == 1
    assert "takes up to 3; call it once per case with --input t1=" in capsys.readouterr().err


def test_a_bundle_takes_the_channels_that_a_case_has_and_says_so(lenient, scans, tmp_path):
    from monai.bundle import run

    trained, folder = read_model(lenient), tmp_path / "bundle"
    write_bundle(trained, folder)
    assert "a missing channel is an image of zeros" in metadata(trained)["image_classes"]
    readme = (folder / "docs/README.md").read_text()
    assert "Leave out the option of a channel that the case lacks" in readme
    named = {f"input::{name}": str(path) for name, path in scans.items() if name != "flair"}
    run(
        bundle_root=str(folder),
        meta_file=str(folder / "configs/metadata.json"),
        config_file=str(folder / "configs/inference.json"),
        output=str(tmp_path / "seg.nii.gz"),
        device="$torch.device('cpu')",
        **named,
    )
    own = Predictor(trained).predict({name: scans[name] for name in ("t1", "t2")}).labels.data
    assert np.array_equal(nib.load(tmp_path / "seg.nii.gz").dataobj, own)
    with pytest.raises(ConfigError, match="at least one"):
        PrepareScan(trained.description["settings"])({"image": dict.fromkeys(CHANNELS)})
