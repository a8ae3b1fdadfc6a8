import numpy as np
import pytest

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.readers import READERS
from fedvox.data.readers.plain import read, single_modality, stem, strays, volumes
from fedvox.errors import ConfigError, DataError


def test_every_image_is_a_case_with_the_label_of_the_same_name(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["b", "a"])
    values = {1: "liver", 2: "spleen"}
    assert read(tmp_path, ["mr"]) == [
        Case(
            id=name,
            patient=name,
            images={"mr": tmp_path / "images" / f"{name}.nii.gz"},
            labels=(LabelFile(tmp_path / "labels" / f"{name}.nii.gz", values),),
        )
        for name in ("a", "b")
    ]


def test_image_without_a_label_stays_a_case_so_that_it_is_counted(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a", "b"])
    (tmp_path / "labels" / "b.nii.gz").unlink()
    assert [case.id for case in read(tmp_path, ["ct"])] == ["a", "b"]


def test_hidden_and_other_files_are_no_volumes(tmp_path):
    for name in ("b.nii", "a.nii.gz", ".hidden.nii.gz", "._a.nii.gz", "notes.txt", "a.nii.bak"):
        (tmp_path / name).touch()
    assert [path.name for path in volumes(tmp_path)] == ["a.nii.gz", "b.nii"]


@pytest.mark.parametrize("name", ["scan.1.nii", "scan.1.nii.gz"])
def test_stem_drops_both_endings_and_no_other_dot(tmp_path, name):
    assert stem(tmp_path / name) == "scan.1"


def test_folder_without_a_label_table_is_refused(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"])
    (tmp_path / "labels.json").unlink()
    with pytest.raises(DataError, match=r"no labels\.json"):
        read(tmp_path, ["ct"])


def test_folder_without_images_is_refused(tmp_path, make_plain_site):
    make_plain_site(tmp_path, [])
    with pytest.raises(DataError, match="no images"):
        read(tmp_path, ["ct"])


@pytest.mark.parametrize("modalities", [["ct", "mr"], []])
def test_layout_of_one_modality_refuses_several(modalities):
    with pytest.raises(ConfigError, match=f"lists {len(modalities)}"):
        single_modality(modalities)


def test_readers_are_registered_by_name():
    assert {"plain", "msd", "phantom"} <= set(READERS)
    with pytest.raises(ConfigError, match=r"unknown dataset 'btcv'; choose one of: .*plain"):
        READERS["btcv"]


def test_one_name_with_both_endings_is_refused_without_it(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["miller", "a"])
    (tmp_path / "images" / "miller.nii").touch()
    with pytest.raises(DataError, match="1 cases repeat another's name") as caught:
        read(tmp_path, ["ct"])
    assert "miller" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", '{"liver": 1, "liver": 2}'])
def test_damaged_label_table_is_named_without_its_folder(tmp_path, make_plain_site, text):
    make_plain_site(tmp_path, ["a"])
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ConfigError, match=r"^labels\.json: ") as caught:
        read(tmp_path, ["ct"])
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "ending"), [("labels/p1", ""), ("labels/p1.nii", ".nii"), ("labels/p1.nii.gz", ".gz")]
)
def test_a_folder_of_a_dicom_series_is_a_case_beside_nifti(
    tmp_path, make_plain_site, write_series, place, ending
):
    make_plain_site(tmp_path, ["a"])
    series = write_series(tmp_path / "images/p1", np.zeros((4, 4, 3), np.int16))
    label = tmp_path / place
    label.touch() if ending else label.mkdir()
    case = read(tmp_path, ["ct"])[1]
    assert (case.id, case.images["ct"], case.labels[0].path) == ("p1", series, label)


def test_a_series_that_lost_its_slices_stays_a_case_while_it_has_a_label(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"])
    for name in ("images/p1", "labels/p1", "images/other", "images/.hidden"):
        (tmp_path / name).mkdir()
    assert [case.id for case in read(tmp_path, ["ct"])] == ["a", "p1"]


def test_a_series_whose_folder_ends_like_a_file_is_one_case(
    tmp_path, make_plain_site, write_series
):
    make_plain_site(tmp_path, [])
    write_series(tmp_path / "images/p1.nii.gz", np.zeros((4, 4, 3), np.int16))
    assert [case.id for case in read(tmp_path, ["ct"])] == ["p1.nii.gz"]


def test_a_series_without_a_label_stays_a_case(tmp_path, make_plain_site, write_series):
    make_plain_site(tmp_path, [])
    write_series(tmp_path / "images/p1", np.zeros((4, 4, 3), np.int16))
    (case,) = read(tmp_path, ["ct"])
    assert case.labels[0].path == tmp_path / "labels/p1.nii.gz"


def test_a_series_and_a_file_of_one_name_are_refused(tmp_path, make_plain_site, write_series):
    make_plain_site(tmp_path, ["miller"])
    write_series(tmp_path / "images/miller", np.zeros((4, 4, 3), np.int16))
    with pytest.raises(DataError, match="1 cases repeat another's name"):
        read(tmp_path, ["ct"])


def test_a_label_may_have_the_other_ending(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"])
    (tmp_path / "images/a.nii.gz").rename(tmp_path / "images/a.nii")
    (case,) = read(tmp_path, ["ct"])
    assert case.labels[0].path == tmp_path / "labels/a.nii.gz" and strays(tmp_path) == []


def test_a_folder_of_foreign_volumes_says_what_they_are(tmp_path, make_plain_site):
    make_plain_site(tmp_path, [])
    (tmp_path / "images").mkdir()
    for name in ("a.nrrd", "b.mha"):
        (tmp_path / "images" / name).touch()
    with pytest.raises(DataError, match=r"2 volumes in another form.*; convert .* to NIfTI"):
        read(tmp_path, ["ct"])


def test_one_foreign_volume_among_others_is_named(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"])
    (tmp_path / "labels/b.seg.nrrd").touch()
    (stray,) = strays(tmp_path)
    assert stray.paths == (tmp_path / "labels/b.seg.nrrd",) and "convert" in stray.remedy


def test_what_nobody_annotated_and_unknown_names_stand_in_the_case(tmp_path, make_plain_site):
    make_plain_site(tmp_path, ["a"], {"liver": 1, "ignore": 2, "Milz": 3})
    (case,) = read(tmp_path, ["ct"])
    assert case.ignores and case.annotated() == {"liver"} and case.others == ("Milz",)


def test_a_file_whose_ending_is_in_capitals_is_a_case_and_not_passed_over(
    tmp_path, make_plain_site
):
    make_plain_site(tmp_path, ["a"])
    (tmp_path / "images/a.nii.gz").rename(tmp_path / "images/a.NII.GZ")
    (case,) = read(tmp_path, ["ct"])
    assert (case.id, case.labels[0].path.name) == ("a", "a.nii.gz") and strays(tmp_path) == []


@pytest.mark.parametrize(
    ("image", "label"), [("M\u00fcller", "Mu\u0308ller"), ("P001", "p001"), ("a", "A")]
)
def test_a_label_may_spell_its_name_as_another_machine_does(
    tmp_path, make_plain_site, image, label
):
    root = make_plain_site(tmp_path, [image])
    there = (root / f"labels/{image}.nii.gz").rename(root / f"labels/{label}.nii.gz")
    (case,) = read(root, ["ct"])
    assert case.id == image and case.labels[0].path == there and strays(root) == []


@pytest.mark.parametrize("ending", ["", ".nii", ".nii.gz"])
def test_a_label_of_a_series_may_spell_its_name_as_another_machine_does(
    tmp_path, make_plain_site, write_series, ending
):
    root = make_plain_site(tmp_path, ["b"])
    write_series(root / "images/P001", np.zeros((4, 4, 3), np.int16))
    there = root / f"labels/p001{ending}"
    there.touch() if ending else there.mkdir()
    found = {case.id: case.labels[0].path for case in read(root, ["ct"])}
    assert found["P001"] == there and strays(root) == []


def test_of_two_labels_alike_none_is_chosen_nor_that_of_another_image(tmp_path, make_plain_site):
    root = make_plain_site(tmp_path, ["pa"])
    (root / "labels/pa.nii.gz").rename(root / "labels/PA.nii")
    (root / "labels/Pa.nii").touch()
    assert read(root, ["ct"])[0].labels[0].path.name == "pa.nii.gz"
    (root / "images/Pa.nii").touch()
    (root / "labels/PA.nii").unlink()
    assert [case.labels[0].path.name for case in read(root, ["ct"])] == ["Pa.nii", "pa.nii.gz"]
