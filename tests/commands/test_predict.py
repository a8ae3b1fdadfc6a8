import json

import nibabel as nib
import numpy as np
import pytest

from fedvox.commands.main import main
from fedvox.data.images.volumes import load_image
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model


def test_labels_lie_on_exactly_the_scans_grid(predict, scan, tmp_path):
    assert predict(scan, tmp_path / "seg.nii.gz") == 0
    image, labels = nib.load(scan), nib.load(tmp_path / "seg.nii.gz")
    assert labels.shape == image.shape
    assert np.array_equal(labels.affine, image.affine)
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "descrip"):
        assert np.array_equal(labels.header[field], image.header[field]), field
    assert labels.get_data_dtype() == np.uint8
    assert set(np.unique(labels.dataobj)) <= {0, 1, 2}


def test_flipped_and_permuted_copy_gives_the_same_labels_in_world_space(predict, scan, tmp_path):
    image = nib.load(scan)
    turned = nib.Nifti1Image(np.asarray(image.dataobj), image.affine).as_reoriented(
        np.array([[2, -1], [0, 1], [1, -1]])
    )
    turned.set_sform(turned.affine, 1)
    nib.save(turned, tmp_path / "turned.nii.gz")
    assert predict(scan, tmp_path / "a.nii.gz") == 0
    assert predict(tmp_path / "turned.nii.gz", tmp_path / "b.nii.gz") == 0
    first = nib.as_closest_canonical(nib.load(tmp_path / "a.nii.gz"))
    second = nib.as_closest_canonical(nib.load(tmp_path / "b.nii.gz"))
    assert np.allclose(first.affine, second.affine, atol=1e-4)
    assert np.array_equal(first.dataobj, second.dataobj)
    assert len(np.unique(first.dataobj)) > 1


def test_json_tells_values_volumes_and_that_the_model_is_a_phantoms(
    predict, scan, tmp_path, capsys
):
    assert predict(scan, tmp_path / "seg.nii", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    labels = np.asarray(nib.load(tmp_path / "seg.nii").dataobj)
    voxel_ml = 5 * 6 * 4 / 1000
    for organ, value in (("liver", 1), ("spleen", 2)):
        assert result["organs"][organ]["value"] == value
        expected = (labels == value).sum() * voxel_ml
        assert result["organs"][organ]["ml"] == pytest.approx(expected, abs=1e-3)
    assert result["phantom_model"] is True


@pytest.mark.parametrize("keep", [0, 1, 8, 100, 0.5, -100, -1])
def test_truncated_model_is_refused(predict, model, scan, tmp_path, keep, refused):
    content = model.read_bytes()
    model.write_bytes(content[: int(keep * len(content)) if keep == 0.5 else int(keep)])
    assert predict(scan, tmp_path / "seg.nii.gz") == 1
    refused("not a whole safetensors file")


@pytest.mark.parametrize("keep", [0, 10, -3])
def test_truncated_description_is_refused(predict, model, scan, tmp_path, keep, refused):
    path = model.with_suffix(".json")
    path.write_text(path.read_text()[:keep])
    assert predict(scan, tmp_path / "seg.nii.gz") == 1
    refused("model.json")


def test_a_scan_given_as_model_is_refused(predict, scan, tmp_path, refused):
    assert predict(scan, tmp_path / "seg.nii.gz", model=scan) == 1
    refused("safetensors")


def test_unknown_modality_lists_the_models_own(predict, scan, tmp_path, refused):
    assert predict(scan, tmp_path / "seg.nii.gz", "--modality", "pet") == 1
    refused("pet", "ct, mr")


def test_the_modality_may_stand_with_the_scan_and_must_stand_somewhere(
    model, scan, tmp_path, refused
):
    words = ["predict", "--model", str(model), "--threads", "1", "--output"]
    assert main([*words, str(tmp_path / "seg.nii"), "--input", str(scan)]) == 1
    refused("--modality is missing; name ct, mr or auto")
    assert main([*words, str(tmp_path / "seg.nii"), "--input", f"MR={scan}"]) == 0


def test_mri_declared_as_ct_is_refused(predict, scan, tmp_path, refused):
    assert predict(scan, tmp_path / "seg.nii.gz", "--modality", "ct") == 1
    refused("no value below 0")


def test_ct_declared_as_mri_is_refused(predict, write_scan, ct_voxels, tmp_path, refused):
    ct = write_scan(tmp_path / "ct.nii.gz", ct_voxels)
    assert predict(ct, tmp_path / "seg.nii.gz") == 1
    refused("its modality is ct")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: (data + 1024).clip(0), "rescale intercept lost"),
        (lambda data: data.clip(-1000, 1000) / 1000, "no HU but were scaled"),
        (lambda data: (data - data.mean()) / data.std(), "no HU but were scaled"),
    ],
    ids=["intercept lost", "-1 to 1", "z-scores"],
)
@pytest.mark.parametrize("modality", ["ct", "auto"])
def test_a_ct_that_is_not_in_hu_is_refused_whatever_its_padding(
    predict, scan_of, tmp_path, change, words, modality, refused
):
    image = nib.load(scan_of("ct"))
    data = change(np.asarray(image.dataobj).astype(np.float32))
    data[:2] = data[-2:] = -2000
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "ct.nii.gz")
    assert predict(tmp_path / "ct.nii.gz", tmp_path / "seg.nii.gz", "--modality", modality) == 1
    refused(words if modality == "ct" else "name its modality")


def test_an_mri_with_padding_below_0_is_no_ct(predict, scan_of, tmp_path, refused):
    image = nib.load(scan_of("mr"))
    data = np.asarray(image.dataobj).astype(np.float32)
    data[:2] = data[-2:] = -1024
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "mr.nii.gz")
    assert predict(tmp_path / "mr.nii.gz", tmp_path / "seg.nii.gz", "--modality", "ct") == 1
    refused("but for padding hardly a value", "name its modality")
    assert predict(tmp_path / "mr.nii.gz", tmp_path / "seg.nii.gz", "--modality", "mr") == 0


def test_forms_that_contradict_each_other_are_noted(predict, scan, tmp_path, capsys):
    image = nib.load(scan)
    image.set_qform(np.diag([-1.0, 1, 1, 1]) @ image.affine, 1)
    image.set_sform(image.affine, 1)
    nib.save(image, tmp_path / "odd.nii.gz")
    assert predict(tmp_path / "odd.nii.gz", tmp_path / "seg.nii.gz", "--json") == 0
    output = capsys.readouterr()
    (note,) = json.loads(output.out)["notes"]
    assert "sform and qform disagree" in note and "mirrored" in note and "store" in note
    assert output.err == f"note: {note}\n"
    assert predict(scan, tmp_path / "sound.nii.gz", "--json") == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []


def test_auto_recognises_a_ct_and_says_why(predict, write_scan, ct_voxels, tmp_path, capsys):
    ct = write_scan(tmp_path / "ct.nii.gz", ct_voxels)
    assert predict(ct, tmp_path / "auto.nii.gz", "--modality", "auto") == 0
    assert "modality ct: 50% of the scan lies below -300" in capsys.readouterr().out
    assert predict(ct, tmp_path / "named.nii.gz", "--modality", "ct") == 0
    assert "modality" not in capsys.readouterr().out
    auto, named = (nib.load(tmp_path / f"{name}.nii.gz").dataobj for name in ("auto", "named"))
    assert np.array_equal(auto, named)


def test_auto_takes_the_models_only_mri_and_says_so(predict, scan, tmp_path, capsys):
    assert predict(scan, tmp_path / "seg.nii.gz", "--modality", "auto", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["modality"] == "mr"
    assert "the model knows one other modality, mr" in record["modality_reason"]


def test_auto_asks_where_several_mri_contrasts_are_known(
    make_model, predict, scan, tmp_path, refused
):
    model = make_model("ct", "t1", "t2")
    assert predict(scan, tmp_path / "seg.nii.gz", "--modality", "auto", model=model) == 1
    refused("name its modality: t1, t2")


def test_output_must_be_named_as_nifti(predict, scan, tmp_path, refused):
    assert predict(scan, tmp_path / "seg.png") == 1
    refused(".nii")


def test_unreadable_scan_is_refused(predict, scan, tmp_path, refused):
    scan.write_bytes(scan.read_bytes()[:500])
    assert predict(scan, tmp_path / "seg.nii.gz") == 1
    refused("damaged or truncated")


def test_scan_is_never_the_output(predict, scan, tmp_path, refused):
    content = scan.read_bytes()
    (tmp_path / "link.nii.gz").symlink_to(scan)
    for output in (scan, tmp_path / "link.nii.gz"):
        assert predict(scan, output, "--force") == 1
        refused("it is the scan itself")
    assert scan.read_bytes() == content


def test_existing_output_is_replaced_only_by_force(predict, scan, tmp_path, refused):
    output = tmp_path / "old.nii.gz"
    output.write_bytes(b"precious")
    assert predict(scan, output) == 1
    refused("exists already", "--force")
    assert output.read_bytes() == b"precious"
    assert predict(scan, output, "--force") == 0
    assert nib.load(output).shape == nib.load(scan).shape


def test_place_that_cannot_hold_the_output_is_refused_before_segmenting(
    predict, scan, tmp_path, monkeypatch, refused
):
    def fail(*arguments: object) -> None:
        raise AssertionError("the scan was segmented")

    monkeypatch.setattr("fedvox.inference.predict.Predictor.predict", fail)
    (tmp_path / "file").touch()
    (tmp_path / "folder.nii").mkdir()
    assert predict(scan, tmp_path / "file" / "x" / "seg.nii") == 1
    refused("is a file, not a folder")
    assert predict(scan, tmp_path / "folder.nii") == 1
    refused("it is a folder")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert predict(scan, tmp_path / "new" / "seg.nii") == 1
    refused("cannot be written")


def test_error_of_the_scan_names_it(predict, tmp_path, refused):
    assert predict(tmp_path / "none.nii.gz", tmp_path / "seg.nii.gz") == 1
    refused(f"{tmp_path / 'none.nii.gz'}: the file is missing")


@pytest.mark.parametrize("threads", ["0", "-2", "257"])
def test_a_number_of_threads_that_helps_no_scan_is_refused(
    predict, scan, tmp_path, threads, refused
):
    assert predict(scan, tmp_path / "seg.nii.gz", "--threads", threads) == 1
    refused(f"--threads is {threads}; it must be from 1 to 256")


@pytest.mark.parametrize(("trained_on", "noted"), [(["ct"], True), (["ct", "mr"], False)])
def test_modality_that_no_site_had_is_noted(
    predict, model, scan, tmp_path, capsys, trained_on, noted
):
    description = json.loads(model.with_suffix(".json").read_text())
    description |= {"modalities": trained_on, "phantom": False}
    model.with_suffix(".json").write_text(json.dumps(description))
    assert predict(scan, tmp_path / "seg.nii.gz", "--json") == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert (record["phantom_model"], record["missing"]) == (False, [])
    assert record["untrained"] == ["mr"] * noted
    assert ("note: the model was trained without this modality" in printed.err) is noted


def test_dicom_series_is_segmented_on_its_own_grid(predict, write_dicom, ct_voxels, tmp_path):
    series = write_dicom(tmp_path / "series", ct_voxels)
    assert predict(series, tmp_path / "seg.nii.gz", "--modality", "auto") == 0
    labels = nib.load(tmp_path / "seg.nii.gz")
    assert labels.shape == ct_voxels.shape
    assert np.array_equal(labels.affine, load_image(series).affine)
    # DICOM's x and y point to the left and the back, so the last voxels come first in RAS
    canonical = nib.as_closest_canonical(labels)
    expected = np.diag([2.0, 3.0, 4.0, 1.0])
    expected[:2, 3] = -2 * 15, -3 * 17
    assert np.allclose(canonical.affine, expected)
    assert int(labels.header["qform_code"]) == 1 and int(labels.header["sform_code"]) == 1


def test_nothing_is_written_into_a_dicom_series(predict, write_dicom, ct_voxels, tmp_path, refused):
    series = write_dicom(tmp_path / "series", ct_voxels)
    before = sorted(series.iterdir())
    assert predict(series, series / "seg.nii.gz", "--modality", "ct") == 1
    refused("it lies in the scan's folder")
    assert sorted(series.iterdir()) == before


def test_report_tells_model_versions_modality_geometry_and_volumes(predict, model, scan, tmp_path):
    report = tmp_path / "new" / "report.json"
    assert predict(scan, tmp_path / "seg.nii.gz", "--report", report) == 0
    record = json.loads(report.read_text())
    description = json.loads(model.with_suffix(".json").read_text())
    assert record["model_hash"] == description["hash"]
    assert record["fedvox_version"] == description["fedvox_version"]
    assert record["torch_version"].startswith("2.") and record["monai_version"].startswith("1.")
    assert (record["modality"], record["modality_reason"]) == ("mr", "named by the user")
    assert record["phantom_model"] is True and record["seconds"] > 0
    assert record["input"] == {
        "shape": [20, 24, 18],
        "spacing_mm": [6.0, 5.0, 4.0],
        "orientation": "ALI",
    }
    labels = np.asarray(nib.load(tmp_path / "seg.nii.gz").dataobj)
    for organ, value in (("liver", 1), ("spleen", 2)):
        voxels = int((labels == value).sum())
        ml = round(voxels * 0.12, 3)
        assert record["organs"][organ] == {"value": value, "voxels": voxels, "ml": ml}
    assert "scan" not in report.read_text().replace("scan's", "")


def test_preview_is_a_picture_of_three_planes(predict, scan, tmp_path):
    import matplotlib.image

    assert predict(scan, tmp_path / "seg.nii.gz", "--preview", tmp_path / "seg.png") == 0
    pixels = matplotlib.image.imread(tmp_path / "seg.png")
    assert pixels.shape[1] == 1320  # the width of every overlay
    assert (np.ptp(pixels[..., :3], axis=-1) > 0.2).mean() > 0.01  # organs are coloured


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [("--preview", "seg.jpg", ".png"), ("--report", "seg.txt", ".json")],
)
def test_preview_and_report_must_be_named_as_what_they_are(
    predict, scan, tmp_path, option, name, words, refused
):
    assert predict(scan, tmp_path / "seg.nii.gz", option, tmp_path / name) == 1
    refused(option, words)


@pytest.mark.parametrize(("option", "name"), [("--preview", "old.png"), ("--report", "old.json")])
def test_existing_preview_and_report_are_replaced_only_by_force(
    predict, scan, tmp_path, option, name, refused
):
    (tmp_path / name).write_bytes(b"precious")
    assert predict(scan, tmp_path / "seg.nii.gz", option, tmp_path / name) == 1
    refused(option, "exists already")
    assert predict(scan, tmp_path / "seg.nii.gz", option, tmp_path / name, "--force") == 0
    assert (tmp_path / name).read_bytes() != b"precious"


def test_a_full_disk_names_the_output_and_leaves_nothing(
    predict, scan, tmp_path, full_disk, refused
):
    out = tmp_path / "out"
    with full_disk():
        more = ("--report", out / "seg.json", "--preview", out / "seg.png")
        assert predict(scan, out / "seg.nii", *more) == 1
    refused(f"{out / 'seg.nii'}: the results cannot be written", "make room")
    assert list(out.iterdir()) == []


def test_largest_component_leaves_one_piece_of_each_organ(predict, scan, tmp_path):
    from scipy import ndimage

    assert predict(scan, tmp_path / "all.nii.gz") == 0
    assert predict(scan, tmp_path / "one.nii.gz", "--largest-component") == 0
    every, one = (np.asarray(nib.load(tmp_path / f"{n}.nii.gz").dataobj) for n in ("all", "one"))
    pieces = {}
    for value in (1, 2):
        _, before = ndimage.label(every == value, np.ones((3, 3, 3)))
        _, pieces[value] = ndimage.label(one == value, np.ones((3, 3, 3)))
        assert pieces[value] == min(before, 1)
        assert ((one == value) <= (every == value)).all()
    assert (one != every).any() and any(pieces.values())


def test_failed_scan_leaves_no_preview_or_report(predict, scan, tmp_path, refused):
    scan.write_bytes(scan.read_bytes()[:500])
    more = ("--preview", tmp_path / "seg.png", "--report", tmp_path / "seg.json")
    assert predict(scan, tmp_path / "seg.nii.gz", *more) == 1
    refused("damaged or truncated")


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("examples:", "--modality auto", "--preview seg.png", "--input scans"):
        assert word in text


def test_a_scan_in_which_nothing_was_found_is_no_error_and_says_so(
    predict, scan, tmp_path, capsys, blind
):
    assert predict(scan, tmp_path / "seg.nii.gz", "--json") == 0
    assert "note:" not in capsys.readouterr().err
    assert predict(scan, tmp_path / "none.nii.gz", "--json", "--model", blind) == 0
    printed = capsys.readouterr()
    assert "note: the model found no organ in the scan; look" in printed.err
    assert not any(organ["voxels"] for organ in json.loads(printed.out)["organs"].values())


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_model_whose_weights_are_no_numbers_is_refused(scan, model, tmp_path, command, refused):
    trained = read_model(model)
    weights = {name: np.full_like(array, np.nan) for name, array in trained.weights.items()}
    path = write_model(
        tmp_path / "nan", weights, describe_model(trained.job, weights, 1, True, ["mr"])
    )
    more = {
        "predict": ["--input", scan, "--modality", "mr", "--output", tmp_path / "seg.nii.gz"],
        "export": ["--out", tmp_path / "bundle"],
    }
    assert main([command, "--model", str(path), *map(str, more[command])]) == 1
    refused("weight tensors hold NaN or infinite values")
    assert not (tmp_path / "bundle").exists()


def test_results_can_be_read_by_their_owner_only(scan, tmp_path, predict):
    more = ["--preview", tmp_path / "p.png", "--report", tmp_path / "r.json"]
    assert predict(scan, tmp_path / "o.nii.gz", *more) == 0
    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in ("o.nii.gz", "p.png", "r.json")}
    assert modes == {0o600}
