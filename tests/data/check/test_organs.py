import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.check.organs import organ_voxels, read_organs
from fedvox.data.organs import CANONICAL, IGNORE
from fedvox.errors import DataError

LIVER, SPLEEN = CANONICAL.index("liver") + 1, CANONICAL.index("spleen") + 1


def boxes(*values: int) -> np.ndarray:
    label = np.zeros((6, 7, 8), np.int16)
    for index, value in enumerate(values):
        label[index, 1:5, 2:6] = value
    return label


def test_values_become_canonical_organs_and_unknown_structures_background(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii.gz", boxes(9, 300, 5))
    case = Case("a", "a", {}, (LabelFile(path, {9: "liver", 300: "spleen", 5: None}),))
    organs = read_organs(case)
    assert organs.data.dtype == np.uint8
    assert organ_voxels(organs.data) == {"liver": 16, "spleen": 16}
    assert organs.data[0, 2, 3] == LIVER and organs.data[1, 2, 3] == SPLEEN
    assert not organs.data[2:].any()


def test_one_mask_per_organ_is_merged_and_a_later_one_wins(tmp_path, write_nifti):
    first = write_nifti(tmp_path / "a.nii.gz", boxes(1, 1))
    second = write_nifti(tmp_path / "b.nii.gz", boxes(0, 1, 1))
    labels = (LabelFile(first, {1: "liver"}), LabelFile(second, {1: "spleen"}))
    organs = read_organs(Case("a", "a", {}, labels))
    assert organ_voxels(organs.data) == {"liver": 16, "spleen": 32}


@pytest.mark.parametrize(
    ("value", "words"), [(7, r" \(1 liver\); "), (-1, ", and none below 0 can be; ")]
)
def test_values_beyond_the_table_are_refused(tmp_path, write_nifti, value, words):
    path = write_nifti(tmp_path / "a.nii.gz", boxes(1, value))
    with pytest.raises(
        DataError, match=rf"label values \[{value}\] are not in the label table{words}"
    ):
        read_organs(Case("a", "a", {}, (LabelFile(path, {1: "liver"}),)))


def test_masks_on_different_grids_are_refused(tmp_path, write_nifti):
    first = write_nifti(tmp_path / "a.nii.gz", boxes(1))
    second = write_nifti(tmp_path / "b.nii.gz", boxes(1)[:, :, 1:])
    labels = (LabelFile(first, {1: "liver"}), LabelFile(second, {1: "spleen"}))
    with pytest.raises(DataError, match="shape"):
        read_organs(Case("a", "a", {}, labels))


def test_forms_that_contradict_each_other_are_told_of_whichever_mask_has_them(
    tmp_path, write_nifti
):
    first = write_nifti(tmp_path / "a.nii.gz", boxes(1))
    mask = nib.load(first)
    mask.set_qform(np.diag([-1.0, 1, 1, 1]) @ mask.affine, 1)
    nib.save(mask, tmp_path / "b.nii.gz")
    labels = tuple(
        LabelFile(tmp_path / f"{name}.nii.gz", {1: organ})
        for name, organ in (("a", "liver"), ("b", "spleen"))
    )
    assert "mirrored" in read_organs(Case("a", "a", {}, labels)).conflict


def test_a_case_without_label_files_has_no_map():
    assert read_organs(Case("a", "a", {}, ())) is None


def test_voxels_that_nobody_annotated_are_counted_and_no_organ(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii.gz", boxes(1, 2))
    organs = read_organs(Case("a", "a", {}, (LabelFile(path, {1: "liver", 2: IGNORE}),)))
    assert organ_voxels(organs.data) == {"liver": 16}
    assert organs.ignored == 16 and organs.ignored_share == 16 / (6 * 7 * 8)


def test_masks_that_overlap_say_which_wins_and_by_how_much(tmp_path, write_nifti):
    masks = {"liver": boxes(1, 1), "spleen": boxes(0, 1, 1), "aorta": boxes(0, 0, 0, 1)}
    labels = tuple(
        LabelFile(write_nifti(tmp_path / f"{organ}.nii.gz", mask), {1: organ})
        for organ, mask in masks.items()
    )
    assert read_organs(Case("a", "a", {}, labels)).overlaps == {("liver", "spleen"): 16}


def test_a_part_inside_its_organ_is_no_overlap_and_covers_it(tmp_path, write_nifti):
    masks = {"liver_tumour": boxes(1), "liver": boxes(1, 1)}
    labels = tuple(
        LabelFile(write_nifti(tmp_path / f"{organ}.nii.gz", mask), {1: organ})
        for organ, mask in masks.items()
    )
    organs = read_organs(Case("a", "a", {}, labels))
    assert organs.overlaps == {}
    assert organ_voxels(organs.data) == {"liver": 16, "liver_tumour": 16}
