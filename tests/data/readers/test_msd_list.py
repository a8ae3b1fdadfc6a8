from pathlib import Path

import pytest

from fedvox.data.readers.msd_list import Pair, listed_tests, pairs
from fedvox.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path) -> Path:
    """A data folder with one case as nnU-Net stores it."""
    for name in ("imagesTr/c0_0000.nii.gz", "labelsTr/c0.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def rename(root: Path, image: str, label: str) -> None:
    (root / "imagesTr/c0_0000.nii.gz").rename(root / image)
    (root / "labelsTr/c0.nii.gz").rename(root / label)


def listed(root: Path, image: object, label: object) -> Pair:
    (pair,) = pairs(root, {"training": [{"image": image, "label": label}]})
    return pair


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("./imagesTr/c0.nii.gz", "./labelsTr/c0.nii.gz"),
        ("imagesTr/c0_0000.nii.gz", "labelsTr/c0.nii.gz"),
        ("imagesTr\\c0.nii.gz", ".\\labelsTr\\c0.nii.gz"),
        ("imagesTr/c0.nii", "labelsTr/c0.nii"),
        ("imagesTr/c0", "labelsTr/c0"),
        ("ImagesTR/C0.NII.GZ", "labelstr/C0.nii.gz"),
        ("/home/anna/D/imagesTr/c0.nii.gz", "/home/anna/D/labelsTr/c0.nii.gz"),
        ("D:\\anna\\imagesTr\\c0.nii.gz", "D:/anna/labelsTr/c0.nii.gz"),
        (" imagesTr/c0.nii.gz ", "labelsTr//c0.nii.gz"),
        ("file:///d/imagesTr/c0.nii.gz", "file:///d/labelsTr/c0.nii.gz"),
        ("$nnUNet_raw/D/imagesTr/c0.nii.gz", "$nnUNet_raw/D/labelsTr/c0.nii.gz"),
        ("./images/c0.nii.gz", "./labels/c0.nii.gz"),
        ("c0.nii.gz", "c0.nii.gz"),
        (["imagesTr/c0_0000.nii.gz"], ["labelsTr/c0.nii.gz"]),
        ({"0": "imagesTr/c0_0000.nii.gz"}, "labelsTr/c0.nii.gz"),
    ],
)
def test_a_listed_file_is_found_however_the_list_spells_it(root, image, label):
    expected = Pair(root / "imagesTr/c0_0000.nii.gz", root / "labelsTr/c0.nii.gz")
    assert listed(root, image, label) == expected


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("imagesTr/c0.nii", "labelsTr/c0.nii"),
        ("imagesTr/c0_0000.nii", "labelsTr/c0.nii.gz"),
        ("imagesTr/C0_0000.nii.gz", "labelsTr/c0.NII.gz"),
    ],
)
def test_a_stored_file_may_have_the_other_ending_or_letter_case(root, image, label):
    rename(root, image, label)
    found = listed(root, "imagesTr/c0.nii.gz", "labelsTr/c0.nii.gz")
    assert found == Pair(root / image, root / label)


def test_the_file_that_is_named_exactly_comes_first(root):
    (root / "imagesTr/c0.nii.gz").touch()
    assert listed(root, "imagesTr/c0.nii.gz", "labelsTr/c0.nii.gz").image.name == "c0.nii.gz"


def test_a_file_that_is_nowhere_stays_where_the_list_puts_it(root):
    found = listed(root, "imagesTr/c9.nii.gz", "labelsTr/c9.nii.gz")
    assert found == Pair(root / "imagesTr/c9.nii.gz", root / "labelsTr/c9.nii.gz")


@pytest.mark.parametrize(
    "listing",
    [
        {"training": ["imagesTr/c0.nii.gz"]},
        {"training": ["./imagesTr/c0_0000.nii.gz"]},
        {"dataset": {"c0": {"images": ["imagesTr/c0_0000.nii.gz"], "label": "labelsTr/c0.nii.gz"}}},
        {"training": []},
        {},
    ],
)
def test_other_forms_of_the_list_give_the_same_cases(root, listing):
    expected = Pair(root / "imagesTr/c0_0000.nii.gz", root / "labelsTr/c0.nii.gz")
    assert pairs(root, listing) == [expected]


@pytest.mark.parametrize("image", [["a.nii", "b.nii"], {"0": "a.nii", "1": "b.nii"}])
def test_several_channels_of_an_image_are_refused_with_what_to_do(root, image):
    with pytest.raises(ConfigError, match="2 files for one image; FedVox trains one channel"):
        listed(root, image, "labelsTr/c0.nii.gz")


@pytest.mark.parametrize("entry", [3, None, "", [], {}, [3]])
def test_an_entry_without_a_file_is_refused(root, entry):
    with pytest.raises(DataError, match="must be a text"):
        listed(root, entry, "labelsTr/c0.nii.gz")


@pytest.mark.parametrize("training", [3, "imagesTr", [3], [None]])
def test_a_list_of_another_form_is_refused(root, training):
    with pytest.raises(DataError, match=r"dataset\.json"):
        pairs(root, {"training": training})


@pytest.mark.parametrize("path", ["/etc/passwd", "C:\\miller.nii", "a/../../miller.nii", "a\0.nii"])
def test_no_entry_leads_out_of_the_folder(root, path):
    with pytest.raises(DataError, match="outside 'root'"):
        listed(root, path, "labelsTr/c0.nii.gz")


def test_tests_of_any_form_are_read_without_complaint(root):
    listing = {"test": ["imagesTr/c0.nii.gz", 3, None, {"image": 4}, {"image": "imagesTs/x.nii"}]}
    assert listed_tests(root, listing) == {
        root / "imagesTr/c0_0000.nii.gz",
        root / "imagesTs/x.nii",
    }
    assert listed_tests(root, {"test": 3}) == set()


@pytest.mark.parametrize("path", ["/data/anna/x.nii", "C:\\x.nii", "../x.nii", "a\0.nii"])
def test_tests_of_another_machine_are_no_files_of_this_folder(root, path):
    listing = {"test": [path, "imagesTr/c0.nii.gz"]}
    assert listed_tests(root, listing) == {root / "imagesTr/c0_0000.nii.gz"}
