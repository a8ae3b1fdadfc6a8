import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.commands.main import main


@pytest.fixture
def model(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    data = rng.normal(300, 100, (20, 24, 18)).clip(0).astype(np.int16)
    affine = np.array([[0, -5.0, 0, 60], [6.0, 0, 0, -40], [0, 0, -4.0, 30], [0, 0, 0, 1]])
    image = nib.Nifti1Image(data, affine)
    image.header["descrip"] = b"kept"
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def predict(model: Path, scan: Path, output: Path, *more: str) -> int:
    arguments = ["--model", model, "--input", scan, "--modality", "mr", "--output", output]
    return main(["predict", *map(str, arguments), *more])


def test_labels_lie_on_exactly_the_scans_grid(model: Path, scan: Path, tmp_path: Path) -> None:
    assert predict(model, scan, tmp_path / "seg.nii.gz") == 0
    image, labels = nib.load(scan), nib.load(tmp_path / "seg.nii.gz")
    assert labels.shape == image.shape
    assert np.array_equal(labels.affine, image.affine)
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "descrip"):
        assert np.array_equal(labels.header[field], image.header[field]), field
    assert labels.get_data_dtype() == np.uint8
    assert set(np.unique(labels.dataobj)) <= {0, 1, 2}


def test_flipped_and_permuted_copy_gives_the_same_labels_in_world_space(
    model: Path, scan: Path, tmp_path: Path
) -> None:
    image = nib.load(scan)
    turned = nib.Nifti1Image(np.asarray(image.dataobj), image.affine).as_reoriented(
        np.array([[2, -1], [0, 1], [1, -1]])
    )
    turned.set_sform(turned.affine, 1)
    nib.save(turned, tmp_path / "turned.nii.gz")
    assert predict(model, scan, tmp_path / "a.nii.gz") == 0
    assert predict(model, tmp_path / "turned.nii.gz", tmp_path / "b.nii.gz") == 0
    first = nib.as_closest_canonical(nib.load(tmp_path / "a.nii.gz"))
    second = nib.as_closest_canonical(nib.load(tmp_path / "b.nii.gz"))
    assert np.allclose(first.affine, second.affine, atol=1e-4)
    assert np.array_equal(first.dataobj, second.dataobj)
    assert len(np.unique(first.dataobj)) > 1


def test_json_tells_values_volumes_and_that_the_model_is_a_phantoms(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, scan, tmp_path / "seg.nii", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    labels = np.asarray(nib.load(tmp_path / "seg.nii").dataobj)
    voxel_ml = 5 * 6 * 4 / 1000
    for organ, value in (("liver", 1), ("spleen", 2)):
        assert result["organs"][organ]["value"] == value
        expected = (labels == value).sum() * voxel_ml
        assert result["organs"][organ]["ml"] == pytest.approx(expected, abs=1e-3)
    assert result["phantom_model"] is True


def fails(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> None:
    error = capsys.readouterr().err
    assert error.startswith("fedvox: error: ") and error.count("\n") == 1
    for word in words:
        assert word in error
    assert not list(folder.glob("seg*")) and not list(folder.glob(".writing*"))


def test_truncated_model_is_refused(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.write_bytes(model.read_bytes()[:-100])
    assert predict(model, scan, tmp_path / "seg.nii.gz") == 1
    fails(capsys, tmp_path, "not a whole safetensors file")


def test_a_scan_given_as_model_is_refused(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(scan, scan, tmp_path / "seg.nii.gz") == 1
    fails(capsys, tmp_path, "safetensors")


def test_unknown_modality_lists_the_models_own(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, scan, tmp_path / "seg.nii.gz", "--modality", "pet") == 1
    fails(capsys, tmp_path, "pet", "ct, mr")


def test_missing_modality_is_a_usage_error(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--model", str(model), "--input", str(scan), "--output", "seg.nii"])
    assert stop.value.code == 2
    assert "--modality" in capsys.readouterr().err


def test_mri_declared_as_ct_is_refused(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, scan, tmp_path / "seg.nii.gz", "--modality", "ct") == 1
    fails(capsys, tmp_path, "no value below 0")


def test_ct_declared_as_mri_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = np.random.default_rng(0).normal(0, 50, (16, 16, 16)).astype(np.int16)
    data[:8] -= 1000
    nib.save(nib.Nifti1Image(data, np.diag([5.0, 5, 5, 1])), tmp_path / "ct.nii.gz")
    assert predict(model, tmp_path / "ct.nii.gz", tmp_path / "seg.nii.gz") == 1
    fails(capsys, tmp_path, "its modality is ct")


def test_output_must_be_named_as_nifti(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, scan, tmp_path / "seg.png") == 1
    fails(capsys, tmp_path, ".nii")


def test_unreadable_scan_is_refused(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan.write_bytes(scan.read_bytes()[:500])
    assert predict(model, scan, tmp_path / "seg.nii.gz") == 1
    fails(capsys, tmp_path, "damaged or truncated")


def test_scan_is_never_the_output(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = scan.read_bytes()
    (tmp_path / "link.nii.gz").symlink_to(scan)
    for output in (scan, tmp_path / "link.nii.gz"):
        assert predict(model, scan, output, "--force") == 1
        fails(capsys, tmp_path, "it is the scan itself")
    assert scan.read_bytes() == content


def test_existing_output_is_replaced_only_by_force(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "old.nii.gz"
    output.write_bytes(b"precious")
    assert predict(model, scan, output) == 1
    fails(capsys, tmp_path, "exists already", "--force")
    assert output.read_bytes() == b"precious"
    assert predict(model, scan, output, "--force") == 0
    assert nib.load(output).shape == nib.load(scan).shape


def test_place_that_cannot_hold_the_output_is_refused_before_segmenting(
    model: Path,
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("the scan was segmented")

    monkeypatch.setattr("fedvox.training.predict.predict_file", fail)
    (tmp_path / "file").touch()
    (tmp_path / "folder.nii").mkdir()
    assert predict(model, scan, tmp_path / "file" / "x" / "seg.nii") == 1
    fails(capsys, tmp_path, "is a file, not a folder")
    assert predict(model, scan, tmp_path / "folder.nii") == 1
    fails(capsys, tmp_path, "it is a folder")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert predict(model, scan, tmp_path / "new" / "seg.nii") == 1
    fails(capsys, tmp_path, "cannot be written")


def test_error_of_the_scan_names_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, tmp_path / "none.nii.gz", tmp_path / "seg.nii.gz") == 1
    fails(capsys, tmp_path, f"{tmp_path / 'none.nii.gz'}: the file is missing")


@pytest.mark.parametrize("threads", ["0", "-2"])
def test_fewer_than_one_thread_is_refused(
    model: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], threads: str
) -> None:
    assert predict(model, scan, tmp_path / "seg.nii.gz", "--threads", threads) == 1
    fails(capsys, tmp_path, f"--threads is {threads}; it must be at least 1")


@pytest.mark.parametrize(("trained_on", "noted"), [(["ct"], True), (["ct", "mr"], False)])
def test_modality_that_no_site_had_is_noted(
    model: Path,
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trained_on: list[str],
    noted: bool,
) -> None:
    description = json.loads(model.with_suffix(".json").read_text()) | {"modalities": trained_on}
    del description["phantom"]
    model.with_suffix(".json").write_text(json.dumps(description))
    assert predict(model, scan, tmp_path / "seg.nii.gz", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["phantom_model"] is False
    assert ("note: no site of this modality trained the model" in printed.err) is noted
