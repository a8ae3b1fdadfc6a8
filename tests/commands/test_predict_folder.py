import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture
def scans(tmp_path: Path, write_scan: Callable[..., Path], mr_voxels: np.ndarray) -> Path:
    """A folder with two MRIs."""
    write_scan(tmp_path / "scans" / "anna.nii.gz", mr_voxels)
    write_scan(tmp_path / "scans" / "ben.nii", mr_voxels[::-1].copy())
    return tmp_path / "scans"


def written(folder: Path) -> list[str]:
    """What the scans got; the table of values lies beside it."""
    return sorted(path.name for path in folder.iterdir() if path.name != "labels.json")


def test_every_scan_gets_labels_of_its_name_on_its_grid(predict, scans, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(scans, out) == 0
    assert written(out) == ["anna.nii.gz", "ben.nii.gz"]
    for name, scan in (("anna", "anna.nii.gz"), ("ben", "ben.nii")):
        labels, image = nib.load(out / f"{name}.nii.gz"), nib.load(scans / scan)
        assert labels.shape == image.shape
        assert np.array_equal(labels.affine, image.affine)
    printed = capsys.readouterr().out
    assert str(out / "anna.nii.gz") in printed and "2 segmented" in printed


def test_labels_of_a_folder_are_those_of_single_calls(predict, scans, tmp_path):
    assert predict(scans, tmp_path / "out") == 0
    assert predict(scans / "ben.nii", tmp_path / "ben.nii.gz") == 0
    assert (tmp_path / "out" / "ben.nii.gz").read_bytes() == (tmp_path / "ben.nii.gz").read_bytes()


def test_a_scan_that_fails_is_named_at_the_end_and_the_others_go_on(
    predict, scans, tmp_path, capsys
):
    (scans / "amy.nii.gz").write_bytes((scans / "anna.nii.gz").read_bytes()[:400])
    out = tmp_path / "out"
    assert predict(scans, out) == 1
    assert written(out) == ["anna.nii.gz", "ben.nii.gz"]
    printed = capsys.readouterr()
    assert "2 segmented; 1 failed" in printed.out
    assert printed.err.splitlines()[-1].startswith("failed: amy: the file is damaged or truncated")


def test_existing_labels_are_skipped_and_counted_unless_forced(predict, scans, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "anna.nii.gz").write_bytes(b"precious")
    (out / "labels.json").write_text('{"liver": 1, "spleen": 2}')
    assert predict(scans, out) == 0
    assert "1 segmented; 1 skipped, which exist already" in capsys.readouterr().out
    assert (out / "anna.nii.gz").read_bytes() == b"precious"
    assert predict(scans, out, "--force") == 0
    assert "2 segmented" in capsys.readouterr().out
    assert nib.load(out / "anna.nii.gz").shape == nib.load(scans / "anna.nii.gz").shape


def test_dicom_series_lie_in_sub_folders(predict, write_dicom, ct_voxels, tmp_path, capsys):
    for name in ("series.1", "series.2"):
        write_dicom(tmp_path / "scans" / name, ct_voxels)
    (tmp_path / "scans" / "notes.txt").touch()
    assert predict(tmp_path / "scans", tmp_path / "out", "--modality", "auto") == 0
    assert written(tmp_path / "out") == ["series.1.nii.gz", "series.2.nii.gz"]
    assert "left out as no scan: 1 of the folder's entries" in capsys.readouterr().out


def test_previews_and_reports_are_folders_too(predict, scans, tmp_path):
    more = ("--preview", tmp_path / "png", "--report", tmp_path / "json")
    assert predict(scans, tmp_path / "out", *more) == 0
    assert written(tmp_path / "png") == ["anna.png", "ben.png"]
    assert written(tmp_path / "json") == ["anna.json", "ben.json"]
    assert json.loads((tmp_path / "json" / "ben.json").read_text())["modality"] == "mr"


def test_results_may_lie_in_the_folder_of_scans_and_are_no_scans_themselves(predict, scans, capsys):
    assert predict(scans, scans / "labels") == 0
    assert predict(scans, scans / "labels") == 0
    assert "0 segmented; 2 skipped" in capsys.readouterr().out.splitlines()[-1]


def test_json_holds_every_scan_and_every_failure(predict, scans, tmp_path, capsys):
    (scans / "amy.nii.gz").write_bytes(b"")
    assert predict(scans, tmp_path / "out", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert sorted(result["scans"]) == ["anna", "ben"]
    assert result["scans"]["anna"]["output"] == str(tmp_path / "out" / "anna.nii.gz")
    assert set(result["failed"]) == {"amy"} and result["skipped"] == 0


def test_scans_are_never_replaced(predict, scans, refused):
    before = {path.name: path.read_bytes() for path in scans.iterdir()}
    for folder in (scans, scans / ".." / "scans"):
        assert predict(scans, folder, "--force") == 1
        refused("it is the folder of scans")
    assert {path.name: path.read_bytes() for path in scans.iterdir()} == before


def test_a_scan_behind_a_link_is_never_replaced(predict, scans, tmp_path, refused):
    links = tmp_path / "links"
    links.mkdir()
    (links / "anna.nii.gz").symlink_to(scans / "anna.nii.gz")
    before = (scans / "anna.nii.gz").read_bytes()
    for more in ((), ("--force",)):
        assert predict(links, scans, *more) == 1
        refused(f"{scans / 'anna.nii.gz'}: it is one of the scans")
    assert (scans / "anna.nii.gz").read_bytes() == before


@pytest.mark.parametrize("option", ["--preview", "--report"])
def test_existing_pictures_and_records_are_replaced_only_by_force(
    predict, scans, tmp_path, option, refused
):
    extra = tmp_path / "extra"
    extra.mkdir()
    precious = extra / ("anna.png" if option == "--preview" else "anna.json")
    precious.write_text("precious")
    assert predict(scans, tmp_path / "out", option, extra) == 1
    refused(f"{option} {precious}: it exists already")
    assert precious.read_text() == "precious" and not (tmp_path / "out").exists()
    assert predict(scans, tmp_path / "out", option, extra, "--force") == 0


def test_what_can_be_no_labels_does_not_count_as_done(predict, scans, tmp_path, refused):
    out = tmp_path / "out"
    (out / "anna.nii.gz").mkdir(parents=True)
    for more in ((), ("--force",)):
        assert predict(scans, out, *more) == 1
        refused("anna.nii.gz: it is a folder")
    (out / "anna.nii.gz").rmdir()
    (out / "anna.nii.gz").touch()
    assert predict(scans, out) == 1
    refused("anna.nii.gz: it exists already")


def test_nothing_is_written_into_a_series_of_the_folder(
    predict, write_dicom, ct_voxels, tmp_path, refused
):
    series = write_dicom(tmp_path / "scans" / "a", ct_voxels)
    assert predict(tmp_path / "scans", series / "out") == 1
    refused("it lies in a scan's folder")


@pytest.mark.parametrize("option", ["--output", "--preview", "--report"])
def test_a_file_as_target_of_a_folder_is_refused(predict, scans, tmp_path, option, refused):
    (tmp_path / "file").touch()
    more = [] if option == "--output" else [option, tmp_path / "file"]
    output = tmp_path / "file" if option == "--output" else tmp_path / "out"
    assert predict(scans, output, *more) == 1
    refused(option, "name a folder")


def test_output_named_as_a_file_is_refused_for_a_folder(predict, scans, tmp_path, refused):
    assert predict(scans, tmp_path / "seg.nii.gz") == 1
    refused("--input is a folder of scans, so name a folder")


def test_a_folder_without_scans_is_an_error(predict, tmp_path, refused):
    (tmp_path / "empty").mkdir()
    assert predict(tmp_path / "empty", tmp_path / "out") == 1
    refused("neither NIfTI files nor folders of DICOM series")


def test_two_scans_of_one_name_are_an_error(predict, scans, tmp_path, refused):
    (scans / "ben.nii.gz").write_bytes((scans / "anna.nii.gz").read_bytes())
    assert predict(scans, tmp_path / "out") == 1
    refused("two scans are called ben")


def test_unexpected_failure_of_one_scan_does_not_stop_the_others(
    predict, scans, tmp_path, capsys, monkeypatch
):
    from fedvox.data.cases import channels as room

    load_image = room.load_image

    def load(path: Path) -> object:
        if path.name.startswith("anna"):
            raise ZeroDivisionError("in some library")
        return load_image(path)

    monkeypatch.setattr(room, "load_image", load)
    assert predict(scans, tmp_path / "out") == 1
    assert written(tmp_path / "out") == ["ben.nii.gz"]
    assert "failed: anna: ZeroDivisionError: in some library" in capsys.readouterr().err


def test_a_loop_of_links_is_left_out_and_the_others_go_on(predict, scans, tmp_path):
    (scans / "loop.nii.gz").symlink_to("loop.nii.gz")
    assert predict(scans, tmp_path / "out") == 0
    assert written(tmp_path / "out") == ["anna.nii.gz", "ben.nii.gz"]


def test_a_folder_of_labels_says_which_value_is_which_organ(predict, scans, tmp_path):
    assert predict(scans, tmp_path / "out") == 0
    path = tmp_path / "out" / "labels.json"
    assert [p.stat().st_mode & 0o777 for p in (path.parent, path)] == [0o700, 0o600]
    table = json.loads(path.read_text())
    assert table == {"liver": 1, "spleen": 2}
    (tmp_path / "out" / "ben.nii.gz").unlink()
    assert predict(scans, tmp_path / "out") == 0  # of the same model


def test_labels_of_two_models_do_not_come_into_one_folder(predict, scans, tmp_path, refused):
    out = tmp_path / "out"
    out.mkdir()
    (out / "labels.json").write_text('{"aorta": 1}')
    assert predict(scans, out) == 1
    refused("labels.json is not the table of this model")
    assert written(out) == []
    assert predict(scans, out, "--force") == 0  # as the remedy says
    assert json.loads((out / "labels.json").read_text()) == {"liver": 1, "spleen": 2}


def test_older_labels_without_a_table_do_not_get_this_models(predict, scans, tmp_path, refused):
    out = tmp_path / "out"
    out.mkdir()
    (out / "anna.nii.gz").write_bytes(b"precious")
    assert predict(scans, out) == 1
    refused("it holds labels without a table (labels.json)")
    assert written(out) == ["anna.nii.gz"] and not (out / "labels.json").exists()
    assert predict(scans, out, "--force") == 0  # as the remedy says


def test_a_report_never_takes_the_place_of_the_table(predict, scans, tmp_path, refused):
    (scans / "anna.nii.gz").rename(scans / "labels.nii.gz")
    assert predict(scans, tmp_path / "out", "--report", tmp_path / "out") == 1
    refused("the table of label values gets this name; choose another folder")
    assert predict(scans, tmp_path / "out", "--report", tmp_path / "reports") == 0


def test_scans_in_which_nothing_was_found_are_counted(predict, scans, tmp_path, capsys, blind):
    assert predict(scans, tmp_path / "out", "--model", blind) == 0
    assert "note: the model found no organ in 2 of 2 scans; look" in capsys.readouterr().err
