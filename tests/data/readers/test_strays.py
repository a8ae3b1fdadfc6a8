import pytest

from fedvox.data.readers import STRAYS
from fedvox.data.readers.strays import Stray, entries, found, is_foreign, unused, with_ending


@pytest.mark.parametrize("name", ["a.nrrd", "a.seg.NRRD", "a.mha", "a.mhd", "a.hdr", "a.img.gz"])
def test_volumes_of_other_programs_are_recognised_by_their_ending(name):
    assert is_foreign(name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.dcm", "a.png", "notes.txt", "nrrd"])
def test_what_is_read_or_is_no_volume_is_not_among_them(name):
    assert not is_foreign(name)


def test_what_no_case_uses_is_told_apart_by_what_to_do(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.nii", "b.nrrd", "c.txt", ".hidden"):
        (folder / name).touch()
    first, second = unused(folder, [folder / "a.nii"], "others", "move them")
    assert first == Stray("others", "move them", (folder / "c.txt",))
    assert second.paths == (folder / "b.nrrd",) and "convert them to NIfTI" in second.remedy


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert list(entries(tmp_path / "none")) == [] and unused(tmp_path / "none", [], "a", "b") == []
    assert found(Stray("a", "b", ())) == []


def test_a_volume_is_found_under_either_ending_the_compressed_one_first(tmp_path):
    assert with_ending(tmp_path, "a") is None
    (tmp_path / "a.nii").touch()
    assert with_ending(tmp_path, "a") == tmp_path / "a.nii"
    (tmp_path / "a.nii.gz").touch()
    assert with_ending(tmp_path, "a") == tmp_path / "a.nii.gz"


@pytest.mark.parametrize(
    ("dataset", "mine", "other"),
    [("chaos", "Train_Sets/MR", "Train_Sets/CT"), ("mmwhs", "mr_train", "ct_train")],
)
def test_the_folder_of_a_modality_that_the_site_does_not_use_is_left_alone(
    tmp_path, dataset, mine, other
):
    for folder in (mine, other):
        (tmp_path / folder / "notes").mkdir(parents=True)
    (stray,) = STRAYS[dataset](tmp_path, ["mr"])
    assert stray.paths == (tmp_path / mine / "notes",)
