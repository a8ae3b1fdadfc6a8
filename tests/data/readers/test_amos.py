import pytest

from fedvox.data.cases.splits import hash_bucket
from fedvox.data.organs import ABDOMEN
from fedvox.data.readers.amos import VALUES, read
from fedvox.errors import ConfigError, DataError

VALIDATION = range(600, 620)


def ids(cases, split=None):
    return [case.id for case in cases if split is None or case.split == split]


@pytest.fixture
def listing(amos_table):
    """``dataset.json`` as released: paths, and a table with the set's own spelling."""
    return {
        "modality": {"0": "CT"},
        "labels": amos_table,
        "training": [{"image": "./imagesTr/amos_0001.nii.gz", "label": "./labelsTr/x.nii.gz"}],
        "validation": [],
        "test": ["./imagesTs/amos_0003.nii.gz"],
    }


def touch(root, **parts):
    """An AMOS tree of empty files, as far as a reader looks at them."""
    for folder, numbers in parts.items():
        (root / folder).mkdir(parents=True)
        for number in numbers:
            (root / folder / f"amos_{number:04d}.nii.gz").touch()
    return root


def test_modality_follows_the_number_of_the_case(tmp_path):
    numbers = [1, 500, 501, 600]
    root = touch(tmp_path, imagesTr=numbers, labelsTr=numbers)
    assert ids(read(root, ["ct"])) == ["amos_0001", "amos_0500"]
    assert ids(read(root, ["mr"])) == ["amos_0501", "amos_0600"]
    both = read(root, ["ct", "mr"])
    assert [case.modality for case in both] == ["ct", "ct", "mr", "mr"]
    assert both[3].images == {"mr": root / "imagesTr" / "amos_0600.nii.gz"}
    assert both[3].labels[0].path == root / "labelsTr" / "amos_0600.nii.gz"


def test_table_with_the_spelling_of_the_set_equals_the_built_in_one(tmp_path, trees, listing):
    root = trees.amos(tmp_path, listing, Tr=[1])
    (case,) = read(root, ["ct"])
    assert case.labels[0].values == VALUES
    assert case.annotated() == set(ABDOMEN)


def test_table_is_built_in_where_dataset_json_is_missing(tmp_path):
    root = touch(tmp_path, imagesTr=[1], labelsTr=[1])
    values = read(root, ["ct"])[0].labels[0].values
    assert (values[1], values[6], values[8], values[9], values[15]) == (
        "spleen",
        "liver",
        "aorta",
        "inferior_vena_cava",
        "prostate_uterus",
    )
    assert sorted(values) == list(range(1, 16))


def test_dataset_json_without_a_table_is_refused(tmp_path, trees):
    with pytest.raises(DataError, match="no 'labels' table; restore it or remove"):
        read(trees.amos(tmp_path, {"training": []}, Tr=[1]), ["ct"])


def test_validation_part_is_halved_by_patient_where_the_test_has_no_labels(tmp_path):
    root = touch(tmp_path, imagesTr=[507], labelsTr=[507], imagesTs=[900])
    touch(root, imagesVa=VALIDATION, labelsVa=VALIDATION)
    cases = read(root, ["mr"])
    assert ids(cases, "train") == ["amos_0507"]
    assert ids(cases, "val") and ids(cases, "test")
    assert ids(cases, "val") == [
        f"amos_{n:04d}" for n in VALIDATION if hash_bucket(f"amos_{n:04d}") < 50
    ]
    assert len(cases) == 1 + len(VALIDATION)


def test_validation_part_validates_where_the_test_has_labels(tmp_path):
    root = touch(tmp_path, imagesTr=[1], labelsTr=[1], imagesTs=[5], labelsTs=[5])
    touch(root, imagesVa=[2, 3, 4], labelsVa=[2, 3, 4])
    cases = read(root, ["ct"])
    assert [case.split for case in cases] == ["train", "val", "val", "val", "test"]


def test_image_without_a_label_stays_a_case_so_that_it_is_counted(tmp_path):
    root = touch(tmp_path, imagesTr=[1, 2], labelsTr=[1])
    assert ids(read(root, ["ct"])) == ["amos_0001", "amos_0002"]


@pytest.mark.parametrize("present", [[], ["imagesTr"], ["labelsTr"]])
def test_other_folder_is_refused(tmp_path, present):
    with pytest.raises(DataError, match="no imagesTr and labelsTr; name AMOS' top folder"):
        read(touch(tmp_path, **{name: [1] for name in present}), ["ct"])


def test_file_without_a_number_is_refused_without_its_name(tmp_path):
    root = touch(tmp_path, imagesTr=[1], labelsTr=[1])
    (root / "imagesTr" / "miller.nii.gz").touch()
    with pytest.raises(DataError, match="1 files in imagesTr are not called amos_NNNN") as caught:
        read(root, ["ct"])
    assert "miller" not in str(caught.value)


def test_modality_without_a_case_is_refused(tmp_path):
    root = touch(tmp_path, imagesTr=[1, 2], labelsTr=[1, 2])
    with pytest.raises(DataError, match="none of the 2 labelled cases is mr"):
        read(root, ["mr"])


@pytest.mark.parametrize("modalities", [["t1"], ["ct", "flair"], []])
def test_other_modality_is_refused(tmp_path, modalities):
    with pytest.raises(ConfigError, match="AMOS holds ct, mr, the site file lists"):
        read(touch(tmp_path, imagesTr=[1], labelsTr=[1]), modalities)
