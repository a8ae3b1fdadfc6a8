import numpy as np
import pytest
from PIL import Image

from fedvox.data.cases.prepare import prepare_case
from fedvox.data.images.volumes import load_image, load_label
from fedvox.data.readers.chaos import read
from fedvox.data.settings import DataSettings
from fedvox.errors import ConfigError, DataError

ORGANS = ("liver", "kidney_right", "kidney_left", "spleen")
SETTINGS = DataSettings(organs=ORGANS, spacing=(3.0, 3.0, 4.0), patch=(8, 8, 8))


@pytest.fixture
def mr(tmp_path, trees):
    return trees.chaos(tmp_path / "chaos", "mr", 1)


@pytest.fixture
def ct(tmp_path, trees):
    return trees.chaos(tmp_path / "chaos", "ct", 2)


def test_sequences_of_one_person_are_cases_of_one_patient(mr):
    cases = read(mr, ["mr"])
    folder = mr / "Train_Sets" / "MR" / "1"
    assert [(case.id, case.patient) for case in cases] == [
        ("mr-1-T1DUAL", "mr-1"),
        ("mr-1-T2SPIR", "mr-1"),
    ]
    assert cases[0].images == {"mr": folder / "T1DUAL" / "DICOM_anon" / "InPhase"}
    assert cases[1].images == {"mr": folder / "T2SPIR" / "DICOM_anon"}
    assert [case.labels[0].path.parent.name for case in cases] == ["T1DUAL", "T2SPIR"]


def test_root_may_be_the_folder_of_training_sets(mr):
    assert read(mr / "Train_Sets", ["mr"]) == read(mr, ["mr"])


def test_modalities_of_the_site_file_choose_the_cases(mr, ct):
    assert [case.id for case in read(ct, ["ct"])] == ["ct-2"]
    assert [case.modality for case in read(ct, ["ct", "mr"])] == ["ct", "mr", "mr"]


@pytest.mark.parametrize(
    ("organ", "low", "high"),
    [
        ("liver", 55, 70),
        ("kidney_right", 110, 135),
        ("kidney_left", 175, 200),
        ("spleen", 240, 255),
    ],
)
def test_grey_values_of_mri_are_ranges(mr, organ, low, high):
    values = read(mr, ["mr"])[0].labels[0].values
    assert {grey for grey, name in values.items() if name == organ} == set(range(low, high + 1))


def test_labels_fall_onto_the_slices_of_their_names(mr, trees):
    case = read(mr, ["mr"])[0]
    image = load_image(case.images["mr"])
    label = load_label(case.labels[0].path, image)
    # The tree's labels are empty below slice 2 and above slice 8 of 12, from foot to head.
    upwards = label.data if image.affine[2, 2] > 0 else label.data[:, :, ::-1]
    assert np.flatnonzero(upwards.any(axis=(0, 1))).tolist() == list(range(2, 9))
    assert prepare_case(case, SETTINGS, mr, b"key").counts == (63, 63, 63, 63)


def test_ct_labels_are_the_liver_whatever_their_grey(ct):
    (case,) = read(ct, ["ct"])
    assert case.annotated() == {"liver"}
    assert prepare_case(case, SETTINGS, ct, b"key").counts == (63, 0, 0, 0)
    for path in case.labels[0].path.glob("*.png"):
        Image.open(path).convert("1").save(path)
    assert prepare_case(case, SETTINGS, ct, b"key").counts == (63, 0, 0, 0)


def test_grey_value_between_the_ranges_is_an_error(mr):
    case = read(mr, ["mr"])[1]
    path = next(case.labels[0].path.glob("*.png"))
    Image.fromarray(np.full((12, 12), 90, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"label values \[90\] are not in the label table"):
        prepare_case(case, SETTINGS, mr, b"key")


def test_missing_png_is_an_error(mr):
    case = read(mr, ["mr"])[0]
    next(case.labels[0].path.glob("*.png")).unlink()
    with pytest.raises(DataError, match="11 PNG, the DICOM series 12 slices"):
        prepare_case(case, SETTINGS, mr, b"key")


def test_person_without_labels_stays_a_case_so_that_it_is_counted(ct):
    ground = ct / "Train_Sets" / "CT" / "2" / "Ground"
    ground.rename(ground.with_name("elsewhere"))
    (case,) = read(ct, ["ct"])
    with pytest.raises(DataError, match="missing"):
        prepare_case(case, SETTINGS, ct, b"key")


def test_missing_folder_of_a_modality_is_refused(mr, tmp_path):
    with pytest.raises(DataError, match="no Train_Sets/CT/<number> with DICOM_anon"):
        read(mr, ["mr", "ct"])
    with pytest.raises(DataError, match="no Train_Sets/MR/<number>"):
        read(tmp_path / "chaos" / "Train_Sets" / "MR", ["mr"])


@pytest.mark.parametrize("modalities", [["t1"], ["mr", "t2"]])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="CHAOS holds ct, mr"):
        read(tmp_path, modalities)
