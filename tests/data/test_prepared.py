import dataclasses
import hashlib
import hmac
import os
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from fedvox.data import prepared
from fedvox.data.case import Case, LabelFile
from fedvox.data.nifti import load_image
from fedvox.data.prepared import prepare_case
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

CANARY = "miller_anna_1955"
KEY = b"secret of the site"
SPACING = (3.0, 3.0, 4.0)  # as the volumes of make_plain_site are stored
SETTINGS = DataSettings(organs=("spleen", "liver"), spacing=SPACING, patch=(8, 8, 8))


@pytest.fixture
def case(tmp_path, make_plain_site):
    root = make_plain_site(tmp_path / "site", [CANARY])
    values = {1: "liver", 2: "spleen"}
    label = LabelFile(root / "labels" / f"{CANARY}.nii.gz", values)
    return Case(CANARY, CANARY, {"ct": root / "images" / f"{CANARY}.nii.gz"}, (label,))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def no_reading(monkeypatch):
    """Returns a switch after which every look into an image fails."""

    def switch():
        def fail(path):
            raise AssertionError("the image was read again")

        monkeypatch.setattr(prepared, "load_image", fail)

    return switch


def stored_label(case) -> np.ndarray:
    return np.asarray(nib.load(case.labels[0].path).dataobj)


def test_organs_take_the_values_of_the_job(case, cache):
    result = prepare_case(case, SETTINGS, cache, KEY)
    stored = stored_label(case)  # liver 1, spleen 2 there; spleen 1, liver 2 here
    expected = np.select([stored == 1, stored == 2], [2, 1], 0)
    assert np.array_equal(result.tensor("label").numpy(), expected)
    assert np.array_equal(result.tensor("stored_label").numpy(), expected)
    assert result.counts == (int((stored == 2).sum()), int((stored == 1).sum()))
    assert result.annotated == {"liver", "spleen"}
    assert result.modality == "ct" and result.stored_spacing == SPACING


def test_image_is_the_windowed_volume(case, cache):
    result = prepare_case(case, SETTINGS, cache, KEY)
    hu = load_image(case.images["ct"]).data
    image = result.tensor("image")
    assert image.shape == (1, 10, 11, 12) and image.dtype == torch.float32
    # float32 rounds values around 1 to 6e-8.
    assert np.allclose(image[0].numpy(), np.clip((hu + 160) / 400, 0, 1), atol=2e-7)


def test_organs_that_the_job_does_not_train_become_background(case, cache):
    result = prepare_case(case, dataclasses.replace(SETTINGS, organs=("spleen",)), cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), stored_label(case) == 2)
    assert result.annotated == {"spleen"}


def test_organ_that_the_table_lacks_is_not_annotated(case, cache):
    settings = dataclasses.replace(SETTINGS, organs=("spleen", "pancreas", "liver"))
    result = prepare_case(case, settings, cache, KEY)
    assert result.annotated == {"spleen", "liver"}
    assert result.counts[1] == 0 and result.tensor("places.1").shape == (0, 3)


def test_structures_without_a_canonical_name_are_background(case, cache):
    partial = LabelFile(case.labels[0].path, {1: "liver", 2: None})
    result = prepare_case(dataclasses.replace(case, labels=(partial,)), SETTINGS, cache, KEY)
    assert result.annotated == {"liver"}
    assert np.array_equal(result.tensor("label").numpy(), 2 * (stored_label(case) == 1))


def test_label_value_that_no_table_names_is_refused(case, cache):
    short = LabelFile(case.labels[0].path, {1: "liver"})
    with pytest.raises(DataError, match=r"label values \[2\] are not in the label table"):
        prepare_case(dataclasses.replace(case, labels=(short,)), SETTINGS, cache, KEY)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_one_mask_per_organ_gives_the_same_labels_as_one_file(case, cache, tmp_path, write_nifti):
    affine = nib.load(case.labels[0].path).affine
    masks = []
    for value, organ in ((1, "liver"), (2, "spleen")):
        mask = (stored_label(case) == value).astype(np.uint8)
        path = write_nifti(tmp_path / "masks" / f"{organ}.nii.gz", mask, affine)
        masks.append(LabelFile(path, {1: organ}))
    whole = prepare_case(case, SETTINGS, cache, KEY)
    merged = prepare_case(dataclasses.replace(case, labels=tuple(masks)), SETTINGS, cache, KEY)
    assert torch.equal(whole.tensor("label"), merged.tensor("label"))
    assert merged.annotated == whole.annotated


def test_two_modalities_become_two_channels_on_one_grid(case, cache, tmp_path, write_nifti):
    both = {"t1": case.images["ct"], "flair": case.images["ct"]}
    result = prepare_case(dataclasses.replace(case, images=both), SETTINGS, cache, KEY)
    assert result.modality == "t1+flair" and result.tensor("image").shape == (2, 10, 11, 12)
    shifted = nib.load(case.images["ct"]).affine.copy()
    shifted[0, 3] += 20
    other = write_nifti(tmp_path / "b.nii.gz", load_image(case.images["ct"]).data, shifted)
    both["flair"] = other
    with pytest.raises(DataError, match=r"20\.0 mm"):
        prepare_case(dataclasses.replace(case, images=both), SETTINGS, cache, KEY)


def test_second_preparation_reads_no_image(case, cache, no_reading):
    first = prepare_case(case, SETTINGS, cache, KEY)
    no_reading()
    assert prepare_case(case, SETTINGS, cache, KEY) == first


def test_patch_size_and_sampling_do_not_invalidate_the_cache(case, cache, no_reading):
    first = prepare_case(case, SETTINGS, cache, KEY)
    no_reading()
    other = dataclasses.replace(SETTINGS, patch=(16, 16, 16), foreground=0.1)
    assert prepare_case(case, other, cache, KEY) == first


@pytest.mark.parametrize(
    "change",
    [
        {"spacing": (6.0, 6.0, 6.0)},
        {"ct_window": (-100.0, 200.0)},
        {"organs": ("liver", "spleen")},
        {"mr_percentiles": (1.0, 99.0)},
    ],
)
def test_other_settings_are_prepared_anew(case, cache, change):
    first = prepare_case(case, SETTINGS, cache, KEY)
    second = prepare_case(case, dataclasses.replace(SETTINGS, **change), cache, KEY)
    assert first.path != second.path and len(list(cache.iterdir())) == 2


def test_other_label_table_is_prepared_anew(case, cache):
    first = prepare_case(case, SETTINGS, cache, KEY)
    swapped = LabelFile(case.labels[0].path, {1: "spleen", 2: "liver"})
    second = prepare_case(dataclasses.replace(case, labels=(swapped,)), SETTINGS, cache, KEY)
    assert second.counts == first.counts[::-1] and sum(first.counts) > 0


def test_changed_file_is_prepared_anew(case, cache):
    first = prepare_case(case, SETTINGS, cache, KEY)
    path = case.labels[0].path
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert prepare_case(case, SETTINGS, cache, KEY).path != first.path


def test_code_is_an_hmac_of_the_voxels_and_not_of_the_name(case, cache, tmp_path):
    voxels = load_image(case.images["ct"]).data
    expected = hmac.new(KEY, voxels.tobytes(), hashlib.sha256).hexdigest()[:16]
    assert prepare_case(case, SETTINGS, cache, KEY).code == expected
    copy = shutil.copy(case.images["ct"], tmp_path / "other_name.nii.gz")
    renamed = dataclasses.replace(case, id="b", patient="b", images={"ct": copy})
    assert prepare_case(renamed, SETTINGS, cache, KEY).code == expected
    assert prepare_case(case, SETTINGS, cache, b"another site").code != expected


def test_nothing_in_the_cache_holds_a_file_name(case, cache):
    prepare_case(case, SETTINGS, cache, KEY)
    (file,) = cache.iterdir()
    assert CANARY not in file.name and CANARY.encode() not in file.read_bytes()


@pytest.mark.parametrize("part", ["image", "label"])
def test_missing_file_is_refused_without_its_name(case, cache, part):
    (case.images["ct"] if part == "image" else case.labels[0].path).unlink()
    with pytest.raises(DataError, match="missing") as caught:
        prepare_case(case, SETTINGS, cache, KEY)
    assert CANARY not in str(caught.value)


def test_patch_inside_the_volume_is_a_cut(case, cache):
    result = prepare_case(case, SETTINGS, cache, KEY)
    image, label = result.patch((1, 2, 3), (4, 5, 6))
    window = (slice(1, 5), slice(2, 7), slice(3, 9))
    assert torch.equal(image, result.tensor("image")[(slice(None), *window)])
    assert torch.equal(label, result.tensor("label")[window])


def test_patch_outside_the_volume_is_zero(case, cache):
    result = prepare_case(case, SETTINGS, cache, KEY)
    image, label = result.patch((-2, 7, -1), (14, 6, 14))  # the volume is 10 x 11 x 12
    expected_image, expected_label = torch.zeros(1, 14, 6, 14), torch.zeros(14, 6, 14)
    expected_image[:, 2:12, :4, 1:13] = result.tensor("image")[:, :, 7:11]
    expected_label[2:12, :4, 1:13] = result.tensor("label")[:, 7:11]
    assert torch.equal(image, expected_image) and torch.equal(label, expected_label)
    assert image.dtype == torch.float32 and label.dtype == torch.uint8


def test_places_are_voxels_of_their_organ_and_few(tmp_path, cache, write_nifti):
    label = np.zeros((20, 20, 20), np.uint8)
    label[2:14, 3:15, 4:16] = 1  # 1728 voxels
    label[17, 17, 17] = 2
    image = np.random.default_rng(0).normal(0, 1, label.shape)
    paths = [write_nifti(tmp_path / f"{i}.nii", a) for i, a in enumerate((image, label))]
    values = {1: "spleen", 2: "liver"}
    case = Case("a", "a", {"mr": paths[0]}, (LabelFile(paths[1], values),))
    result = prepare_case(case, SETTINGS, cache, KEY)
    spleen = result.tensor("places.0").long()
    assert len(spleen) == 432  # every fourth: the smallest step with at most 500
    assert (result.tensor("label")[tuple(spleen.T)] == 1).all()
    assert result.tensor("places.1").tolist() == [[17, 17, 17]]


@pytest.mark.parametrize("size", [0, 5, 400, -100])
def test_damaged_prepared_file_is_made_again(case, cache, size):
    first = prepare_case(case, SETTINGS, cache, KEY)
    content = first.path.read_bytes()
    first.path.write_bytes(content[:size])
    assert prepare_case(case, SETTINGS, cache, KEY) == first
    assert first.path.read_bytes() == content


def test_path_that_cannot_be_one_is_refused_without_its_name(case, cache):
    for name in (f"{CANARY}\0.nii.gz", CANARY * 100):
        wrong = dataclasses.replace(case, images={"ct": case.images["ct"].with_name(name)})
        with pytest.raises(DataError, match="cannot be reached") as caught:
            prepare_case(wrong, SETTINGS, cache, KEY)
        assert CANARY not in str(caught.value)


def test_part_that_the_job_does_not_train_becomes_its_organ(case, cache):
    tumour = LabelFile(case.labels[0].path, {1: "liver", 2: "liver_tumour"})
    whole = dataclasses.replace(case, labels=(tumour,))
    result = prepare_case(whole, SETTINGS, cache, KEY)  # spleen and liver
    assert np.array_equal(result.tensor("label").numpy(), 2 * (stored_label(case) > 0))
    both = dataclasses.replace(SETTINGS, organs=("liver", "liver_tumour"))
    result = prepare_case(whole, both, cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), stored_label(case))
    assert result.annotated == {"liver", "liver_tumour"}


def test_part_whose_organ_is_not_annotated_is_background(case, cache):
    tumour = LabelFile(case.labels[0].path, {1: "spleen", 2: "liver_tumour"})
    result = prepare_case(dataclasses.replace(case, labels=(tumour,)), SETTINGS, cache, KEY)
    assert result.annotated == {"spleen"} and result.counts[1] == 0


def test_mask_of_a_part_lies_over_the_mask_of_its_organ(case, cache, tmp_path, write_nifti):
    stored = stored_label(case)
    affine = nib.load(case.labels[0].path).affine
    tumour = np.zeros_like(stored)
    tumour[2:4, 3:5, 3:5] = 1
    files = [
        LabelFile(write_nifti(tmp_path / f"{organ}.nii.gz", mask, affine), {1: organ})
        for organ, mask in (("liver_tumour", tumour), ("liver", (stored == 1).astype(np.uint8)))
    ]
    settings = dataclasses.replace(SETTINGS, organs=("liver", "liver_tumour"))
    result = prepare_case(dataclasses.replace(case, labels=tuple(files)), settings, cache, KEY)
    assert np.array_equal(result.tensor("label").numpy(), (stored == 1) + tumour)


def test_mask_of_an_organ_that_the_job_does_not_train_is_not_opened(case, cache):
    broken = case.labels[0].path.with_name("aorta.nii.gz")
    broken.write_bytes(b"no volume")
    masked = dataclasses.replace(case, labels=(*case.labels, LabelFile(broken, {1: "aorta"})))
    assert prepare_case(masked, SETTINGS, cache, KEY).annotated == {"liver", "spleen"}
    settings = dataclasses.replace(SETTINGS, organs=("aorta",))
    with pytest.raises(DataError, match="damaged"):
        prepare_case(masked, settings, cache, KEY)


@pytest.fixture
def dicom_case(tmp_path, write_series):
    """A CT series whose liver is the bright half, labelled by PNG."""
    array = np.random.default_rng(0).integers(-500, -100, (8, 8, 6)).astype(np.int16)
    array[:4] += 600
    (tmp_path / "png").mkdir()
    for place in range(6):
        grey = np.where(array[:, :, place].T > 0, 255, 0).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / "png" / f"{place}.png")
    label = LabelFile(tmp_path / "png", {255: "liver"})
    return Case("a", "a", {"ct": write_series(tmp_path / "dicom", array)}, (label,))


def test_series_and_png_are_prepared_like_nifti(dicom_case, cache):
    result = prepare_case(dicom_case, SETTINGS, cache, KEY)
    bright = result.tensor("image")[0] > 0.5  # above 40 HU
    assert torch.equal(bright | (result.tensor("label") == 2), result.tensor("label") == 2)
    assert result.counts == (0, 4 * 8 * 6)


@pytest.mark.parametrize("part", ["dicom", "png"])
@pytest.mark.parametrize("change", ["time", "rename", "remove"])
def test_changed_file_in_a_folder_is_prepared_anew(dicom_case, cache, part, change):
    name = prepared.prepared_path(dicom_case, SETTINGS, cache, KEY)
    assert prepared.prepared_path(dicom_case, SETTINGS, cache, KEY) == name
    folder = dicom_case.images["ct"] if part == "dicom" else dicom_case.labels[0].path
    path = sorted(folder.iterdir())[2]
    if change == "time":
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    elif change == "rename":
        path.rename(path.with_name(f"{path.stem}-1{path.suffix}"))
    else:
        path.unlink()
    assert prepared.prepared_path(dicom_case, SETTINGS, cache, KEY) != name
