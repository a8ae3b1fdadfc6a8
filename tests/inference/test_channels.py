"""A model of several channels: predicted from scans in any order, exported with its order."""

import json
from itertools import permutations

import nibabel as nib
import numpy as np
import pytest
import torch

from fedvox.commands.main import main
from fedvox.data.cases.channel_tensor import to_channels
from fedvox.data.cases.channels import checked_volumes
from fedvox.errors import ConfigError, DataError
from fedvox.inference.evaluate import predict_labels
from fedvox.inference.evaluate_site import evaluate_model
from fedvox.inference.model_files.bundle import inference, metadata, write_bundle
from fedvox.inference.model_files.bundle_parts import PrepareScan
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.inference.model_files.torchscript import read_torchscript, write_torchscript
from fedvox.inference.predict import Options, Predictor
from fedvox.inference.segmenter import Segmenter
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of

CHANNELS = ("t1", "t2", "flair")
FORM = "give --input t1=T1.nii.gz --input t2=T2.nii.gz --input flair=FLAIR.nii.gz"


@pytest.fixture(scope="module")
def model(channel_job, tmp_path_factory):
    weights = weights_of(initial_model(channel_job))
    description = describe_model(channel_job, weights, 1, True, ["t1+t2+flair"])
    return write_model(tmp_path_factory.mktemp("channels"), weights, description)


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(read_model(model))


@pytest.fixture
def scans(brats_site):
    name = "BraTS2021_00003"
    return {kind: brats_site / name / f"{name}_{kind}.nii.gz" for kind in CHANNELS}


@pytest.mark.parametrize("order", permutations(CHANNELS))
def test_scans_in_any_order_give_the_labels_of_the_test_case(
    predictor, scans, order, open_brats, channel_job, cpu
):
    found = predictor.predict({name: scans[name] for name in order}, Options(picture=True))
    (case,) = open_brats().test
    expected = predict_labels(initial_model(channel_job), case, channel_job, cpu)
    assert np.array_equal(found.labels.data, expected) and expected.any()
    assert found.told.modality == "t1+t2+flair" and found.channels == CHANNELS
    assert np.array_equal(found.picture, nib.load(scans["t1"]).get_fdata(dtype=np.float32))


def test_a_scan_under_anothers_name_changes_the_labels(predictor, scans):
    """Else the test above would pass for a network that sees one channel."""
    right = predictor.predict(scans)
    wrong = predictor.predict({**scans, "t1": scans["flair"], "flair": scans["t1"]})
    assert not np.array_equal(right.labels.data, wrong.labels.data)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no scan of t1, t2, flair, the model needs every channel; " + FORM),
        (("t1", "flair"), "--input: no scan of t2, the model needs every channel; " + FORM),
        (
            ("t1", "t2", "flair", "t1ce"),
            "t1ce=...: the model's channels are t1, t2, flair; " + FORM,
        ),
        (("",), r"3 scans of a case (t1, t2, flair), each under its channel's name; " + FORM),
        (("auto",), "each under its channel's name; " + FORM),
    ],
)
def test_other_scans_than_the_channels_are_refused_with_the_way_to_name_them(
    predictor, tmp_path, names, words
):
    with pytest.raises(ConfigError) as error:
        predictor.predict({name: tmp_path / "never_read.nii" for name in names})
    assert words in str(error.value)


def test_scans_on_different_grids_are_refused(predictor, scans, tmp_path):
    image = nib.load(scans["t2"])
    moved = nib.Nifti1Image(image.get_fdata(), image.affine + np.eye(4, k=3) * 10)
    nib.save(moved, tmp_path / "t2.nii.gz")
    with pytest.raises(DataError, match=r"^the t2 image lies up to 10\.0 mm off the t1 image; "):
        predictor.predict({**scans, "t2": tmp_path / "t2.nii.gz"})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data, affine: affine.__setitem__((2, 3), 99), "the flair image lies up to "),
        (lambda data, affine: data.__setitem__((0, 0, 0), np.nan), "the image holds 1 voxels that"),
    ],
)
def test_the_command_names_the_channel_and_the_scan_that_is_meant_and_no_other(
    model, scans, tmp_path, capsys, spoil, words
):
    data, affine = nib.load(scans["flair"]).get_fdata(), nib.load(scans["flair"]).affine
    spoil(data, affine)
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "flair.nii.gz")
    words_of = ["predict", "--model", model, "--output", tmp_path / "seg.nii.gz", "--threads", 1]
    for name, path in {**scans, "flair": tmp_path / "flair.nii.gz"}.items():
        words_of += ["--input", f"{name}={path}"]
    assert main(list(map(str, words_of))) == 1
    error = capsys.readouterr().err
    assert f"--input flair={tmp_path / 'flair.nii.gz'}: {words}" in error
    assert str(scans["t1"]) not in error and error.count("\n") == 1


def test_the_command_names_channels_in_record_and_picture(model, scans, tmp_path, capsys):
    words = ["predict", "--model", model, "--output", tmp_path / "seg.nii.gz", "--threads", 1]
    words += ["--report", tmp_path / "seg.json", "--preview", tmp_path / "seg.png"]
    for name in ("flair", "T1", "t2"):
        words += ["--input", f"{name}={scans[name.lower()]}"]
    assert main(list(map(str, words))) == 0
    record = json.loads((tmp_path / "seg.json").read_text())
    assert (record["modality"], record["channels"]) == ("t1+t2+flair", list(CHANNELS))
    assert record["modality_reason"] == "named by the user" and record["missing"] == []
    assert (tmp_path / "seg.png").stat().st_size > 10_000
    assert "trained without this modality" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["{t1}"], "each under its channel's name; " + FORM),
        (["t1={t1}"], "no scan of t2, flair"),
        (["t1={t1}", "t2={t2}", "pet={flair}"], "--input pet=...: the model's channels are"),
        (["t1={t1}", "t1={t2}", "flair={flair}"], "--input t1=... is given twice"),
        (["t1={t1}", "{t2}"], "each needs its channel's name"),
        (["{folder}"], "takes 3; call it once per case with --input t1=T1.nii.gz"),
        (["{parent}"], "takes 3; call it once per case with --input t1=T1.nii.gz"),
        (["flair={folder}"], "takes 3; call it once per case with --input t1=T1.nii.gz"),
        (
            ["t1={t1}", "t2={t2}", "flair={folder}"],
            "it is a folder without DICOM files; name one scan: a NIfTI file, or",
        ),
        (["t1={t1}", "t2={t2}", "flair={t1}"], "is the same scan as that of t1; name each"),
        (["t1={t1}", "t2={t2}", "flair={link}"], "is the same scan as that of t1; name each"),
    ],
)
def test_the_command_says_what_a_model_with_channels_takes(
    model, scans, tmp_path, capsys, inputs, words
):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.nii.gz").symlink_to(scans["t1"])
    folders = {"folder": folder, "parent": tmp_path, "link": folder / "a.nii.gz"}
    target = tmp_path / ("out" if inputs[0].endswith("{folder}") else "seg.nii.gz")
    command = ["predict", "--model", str(model), "--output", str(target), "--threads", "1"]
    for text in inputs:
        command += ["--input", text.format(**scans, **folders)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not target.exists()


def test_torchscript_takes_all_channels_and_tells_their_order(model, channel_job, tmp_path):
    trained = read_model(model)
    write_torchscript(trained, tmp_path / "model.ts")
    module, job = read_torchscript(tmp_path / "model.ts")
    assert job.data.channels == CHANNELS
    window = torch.rand(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        own = Segmenter(initial_model(channel_job)).eval()(window)
        assert torch.allclose(module(window), own, atol=1e-6)  # rounding of a traced graph


def test_a_bundle_tells_the_order_of_its_channels(model):
    trained = read_model(model)
    told = metadata(trained)
    image = told["network_data_format"]["inputs"]["image"]
    assert image["num_channels"] == 3
    assert image["channel_def"] == {"0": "t1", "1": "t2", "2": "flair"}
    assert "t1, t2, flair" in told["image_classes"]
    assert set(inference(trained)["input"]) == set(CHANNELS) and "modality" not in inference(
        trained
    )


def test_monai_runs_a_bundle_of_channels_to_the_labels_of_predict(
    model, predictor, scans, tmp_path
):
    from monai.bundle import run, verify_net_in_out

    folder = tmp_path / "bundle"
    write_bundle(read_model(model), folder)
    files = {
        "meta_file": str(folder / "configs/metadata.json"),
        "config_file": str(folder / "configs/inference.json"),
    }
    verify_net_in_out("network_def", device="cpu", **files)
    named = {f"input::{name}": str(path) for name, path in scans.items()}
    more = {"output": str(tmp_path / "seg.nii.gz"), "device": "$torch.device('cpu')"}
    run(bundle_root=str(folder), **files, **more, **named)
    own = predictor.predict(scans).labels.data
    assert np.array_equal(nib.load(tmp_path / "seg.nii.gz").dataobj, own)
    options = " ".join(f"--input::{name} {name.upper()}.nii.gz" for name in CHANNELS)
    assert options in (folder / "docs/README.md").read_text()


def test_a_bundles_preprocessing_asks_for_every_channel(model, scans, channel_job):
    prepare = PrepareScan(read_model(model).description["settings"])
    turned = dict(reversed(scans.items()))
    expected = to_channels(checked_volumes(scans), channel_job.data)
    assert torch.equal(prepare({"image": turned})["image"], expected.image)
    with pytest.raises(ConfigError, match="no scan of t2"):
        prepare({"image": {name: scans[name] for name in ("t1", "flair")}})
    with pytest.raises(ConfigError, match="each under its channel's name"):
        prepare({"image": scans["t1"]})


def test_a_site_is_evaluated_whatever_its_order(model, open_brats):
    tables = [
        [(row.modality, row.organ, row.dice) for row in evaluate_model(read_model(model), site)]
        for site in (open_brats(), open_brats(("flair", "t2", "t1")))
    ]
    assert tables[0] == tables[1] and {row[0] for row in tables[0]} == {"t1+t2+flair"}


def test_a_bundle_of_complete_cases_says_nothing_of_missing_channels(model, scans, tmp_path):
    trained = read_model(model)
    write_bundle(trained, tmp_path / "bundle")
    assert "missing" not in metadata(trained)["image_classes"]
    assert "Leave out" not in (tmp_path / "bundle/docs/README.md").read_text()
    with pytest.raises(ConfigError, match="no scan of t2, the model needs every channel"):
        PrepareScan(trained.description["settings"])({"image": {**scans, "t2": None}})


def test_a_site_of_some_modalities_is_evaluated_where_the_model_may_lack_channels(
    lenient_job, open_brats, tmp_path
):
    weights = weights_of(initial_model(lenient_job))
    description = describe_model(lenient_job, weights, 1, True, ["t1+t2+flair"])
    model = read_model(write_model(tmp_path / "model", weights, description))
    rows = evaluate_model(model, open_brats(("flair", "t1"), job=lenient_job))
    assert rows and {row.modality for row in rows} == {"t1+flair"}
    with pytest.raises(ConfigError, match="of which a site needs at least one"):
        open_brats(("t1ce",), job=lenient_job)
