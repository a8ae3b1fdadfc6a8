import pytest

from fedvox.data.cases.prepare import prepare_case
from fedvox.data.organs import HEART
from fedvox.data.readers.mmwhs import read
from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError, DataError

SETTINGS = DataSettings(organs=HEART, spacing=(3.0, 3.0, 4.0), patch=(8, 8, 8))


def test_images_and_labels_stand_side_by_side(tmp_path, trees):
    root = trees.mmwhs(tmp_path, "ct", 1001, 1002)
    cases = read(root, ["ct"])
    assert [case.id for case in cases] == ["ct_train_1001", "ct_train_1002"]
    assert cases[0].images == {"ct": root / "ct_train" / "ct_train_1001_image.nii.gz"}
    assert cases[0].labels[0].path == root / "ct_train" / "ct_train_1001_label.nii.gz"
    assert cases[0].annotated() == set(HEART) and cases[0].split is None


def test_modalities_of_the_site_file_choose_the_folders(tmp_path, trees):
    trees.mmwhs(tmp_path, "ct", 1001)
    trees.mmwhs(tmp_path, "mr", 1001)
    assert [case.id for case in read(tmp_path, ["mr"])] == ["mr_train_1001"]
    both = read(tmp_path, ["ct", "mr"])
    assert [(case.id, case.modality) for case in both] == [
        ("ct_train_1001", "ct"),
        ("mr_train_1001", "mr"),
    ]


def test_stray_value_of_an_mri_is_the_left_atrium(tmp_path, trees):
    (plain,) = read(trees.mmwhs(tmp_path / "a", "mr", 1001), ["mr"])
    (stray,) = read(trees.mmwhs(tmp_path / "b", "mr", 1001, extra=[421]), ["mr"])
    atrium = SETTINGS.organs.index("heart_left_atrium")
    counts = [prepare_case(case, SETTINGS, tmp_path, b"key").counts for case in (plain, stray)]
    assert counts[0][atrium] == 63 and counts[1][atrium] == 126
    assert sum(counts[1]) == sum(counts[0]) + 63


def test_stray_value_in_a_ct_is_an_error(tmp_path, trees):
    (case,) = read(trees.mmwhs(tmp_path, "ct", 1001, extra=[421]), ["ct"])
    with pytest.raises(DataError, match=r"label values \[421\] are not in the label table"):
        prepare_case(case, SETTINGS, tmp_path, b"key")


def test_image_without_a_label_stays_a_case_so_that_it_is_counted(tmp_path, trees):
    root = trees.mmwhs(tmp_path, "ct", 1001)
    (root / "ct_train" / "ct_train_1001_label.nii.gz").unlink()
    assert len(read(root, ["ct"])) == 1


def test_missing_folder_of_a_modality_is_refused(tmp_path, trees):
    root = trees.mmwhs(tmp_path, "ct", 1001)
    with pytest.raises(DataError, match="no mr_train/mr_train_NNNN_image"):
        read(root, ["ct", "mr"])


@pytest.mark.parametrize("modalities", [["t1"], ["mr", "flair"]])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="MM-WHS holds ct, mr"):
        read(tmp_path, modalities)
