import dataclasses
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from fedvox.data.cases.case import FIXED, MASK, LabelFile
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.organs import IGNORE, IGNORED
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

KEY = b"secret of the site"
SPACING = (3.0, 3.0, 4.0)  # as the volumes of make_plain_site are stored
SETTINGS = DataSettings(organs=("spleen", "liver"), spacing=SPACING, patch=(8, 8, 8))


def test_organs_that_the_job_does_not_train_become_background(case, cache, stored_label):
    result = prepare_case(case, dataclasses.replace(SETTINGS, organs=("spleen",)), cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), stored_label == 2)
    assert result.annotated == {"spleen"}


def test_structures_without_a_canonical_name_are_background(case, cache, stored_label):
    partial = LabelFile(case.labels[0].path, {1: "liver", 2: None})
    result = prepare_case(dataclasses.replace(case, labels=(partial,)), SETTINGS, cache, KEY)
    assert result.annotated == {"liver"}
    assert np.array_equal(result.tensor("label").numpy(), 2 * (stored_label == 1))


def test_label_value_that_no_table_names_is_refused(case, cache):
    short = LabelFile(case.labels[0].path, {1: "liver"})
    with pytest.raises(DataError, match=r"label values \[2\] are not in the label table"):
        prepare_case(dataclasses.replace(case, labels=(short,)), SETTINGS, cache, KEY)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_one_mask_per_organ_gives_the_same_labels_as_one_file(
    case, cache, tmp_path, write_nifti, stored_label
):
    affine = nib.load(case.labels[0].path).affine
    masks = []
    for value, organ in ((1, "liver"), (2, "spleen")):
        mask = (stored_label == value).astype(np.uint8)
        path = write_nifti(tmp_path / "masks" / f"{organ}.nii.gz", mask, affine)
        masks.append(LabelFile(path, {1: organ}))
    whole = prepare_case(case, SETTINGS, cache, KEY)
    merged = prepare_case(dataclasses.replace(case, labels=tuple(masks)), SETTINGS, cache, KEY)
    assert torch.equal(whole.tensor("label"), merged.tensor("label"))
    assert merged.annotated == whole.annotated


def test_part_that_the_job_does_not_train_becomes_its_organ(case, cache, stored_label):
    tumour = LabelFile(case.labels[0].path, {1: "liver", 2: "liver_tumour"})
    whole = dataclasses.replace(case, labels=(tumour,))
    result = prepare_case(whole, SETTINGS, cache, KEY)  # spleen and liver
    assert np.array_equal(result.tensor("label").numpy(), 2 * (stored_label > 0))
    both = dataclasses.replace(SETTINGS, organs=("liver", "liver_tumour"))
    result = prepare_case(whole, both, cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), stored_label)
    assert result.annotated == {"liver", "liver_tumour"}


def test_part_whose_organ_is_not_annotated_is_background(case, cache):
    tumour = LabelFile(case.labels[0].path, {1: "spleen", 2: "liver_tumour"})
    result = prepare_case(dataclasses.replace(case, labels=(tumour,)), SETTINGS, cache, KEY)
    assert result.annotated == {"spleen"} and result.counts[1] == 0


def test_mask_of_a_part_lies_over_the_mask_of_its_organ(
    case, cache, tmp_path, write_nifti, stored_label
):
    affine = nib.load(case.labels[0].path).affine
    tumour = np.zeros_like(stored_label)
    tumour[2:4, 3:5, 3:5] = 1
    files = [
        LabelFile(write_nifti(tmp_path / f"{organ}.nii.gz", mask, affine), {1: organ})
        for organ, mask in (
            ("liver_tumour", tumour),
            ("liver", (stored_label == 1).astype(np.uint8)),
        )
    ]
    settings = dataclasses.replace(SETTINGS, organs=("liver", "liver_tumour"))
    result = prepare_case(dataclasses.replace(case, labels=tuple(files)), settings, cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), (stored_label == 1) + tumour)


def test_mask_of_an_organ_that_the_job_does_not_train_is_not_opened(case, cache):
    broken = case.labels[0].path.with_name("aorta.nii.gz")
    broken.write_bytes(b"no volume")
    masked = dataclasses.replace(case, labels=(*case.labels, LabelFile(broken, {1: "aorta"})))
    assert prepare_case(masked, SETTINGS, cache, KEY).annotated == {"liver", "spleen"}
    settings = dataclasses.replace(SETTINGS, organs=("aorta",))
    with pytest.raises(DataError, match="damaged"):
        prepare_case(masked, settings, cache, KEY)


def test_a_long_label_table_is_named_in_part():
    file = LabelFile(Path("a.nii.gz"), dict.fromkeys(range(1, 9)) | {2: "liver"})
    with pytest.raises(DataError, match=r"\(1 other, 2 liver, 3 other, 4 other, 5 other, and more"):
        file.refuse_unknown([0, 9])


def test_voxels_that_nobody_annotated_get_their_own_value(case, cache, stored_label):
    table = LabelFile(case.labels[0].path, {1: "liver", 2: IGNORE})
    result = prepare_case(dataclasses.replace(case, labels=(table,)), SETTINGS, cache, KEY)
    expected = np.select([stored_label == 1, stored_label == 2], [2, IGNORED], 0)
    for name in ("label", "stored_label"):
        assert np.array_equal(result.tensor(name).numpy(), expected)
    assert result.ignores and result.annotated == {"liver"}
    assert result.counts == (0, int((stored_label == 1).sum()))  # no place to draw from


def test_a_mask_of_what_nobody_annotated_covers_every_other(
    case, cache, tmp_path, write_nifti, stored_label
):
    affine = nib.load(case.labels[0].path).affine
    labels = []
    for name, organ, mask in (
        ("a_ignore", IGNORE, stored_label == 1),
        ("liver", "liver", stored_label > 0),
    ):
        path = write_nifti(tmp_path / f"{name}.nii.gz", mask.astype(np.uint8), affine)
        labels.append(LabelFile(path, {1: organ}))
    result = prepare_case(dataclasses.replace(case, labels=tuple(labels)), SETTINGS, cache, KEY)
    expected = np.select([stored_label == 1, stored_label == 2], [IGNORED, 2], 0)
    assert np.array_equal(result.tensor("label").numpy(), expected)


def test_a_case_whose_table_has_no_ignored_voxels_is_not_asked_for_any(case, cache):
    assert not prepare_case(case, SETTINGS, cache, KEY).ignores


def test_values_below_0_are_not_to_be_added_to_a_table():
    file = LabelFile(Path("l.nii"), {1: "liver"})
    with pytest.raises(DataError, match="none below 0 can be; give them a number above 0"):
        file.refuse_unknown([-1, 1])


@pytest.mark.parametrize(
    ("origin", "words"), [(FIXED, "no other values mean anything"), (MASK, "a mask holds 1 where")]
)
@pytest.mark.parametrize("value", [255, -1])
def test_nobody_is_asked_to_add_a_value_to_a_table_that_is_not_at_the_site(origin, words, value):
    file = LabelFile(Path("l.nii"), {1: "liver"}, origin)
    with pytest.raises(DataError, match=rf"\(1 liver\); correct the label: .*{words}") as caught:
        file.refuse_unknown([1, value])
    assert "add them" not in str(caught.value)


def test_a_scan_or_a_smoothed_label_is_told_from_a_short_table():
    file = LabelFile(Path("l.nii"), {1: "liver"})
    with pytest.raises(
        DataError, match=r"holds 99 values that are not in the label table .*smooth"
    ):
        file.refuse_unknown(range(101))
