import dataclasses
import os

import pytest
import torch

from fedvox.data.cases import channels
from fedvox.data.cases.case import LabelFile
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.cases.prepared import prepared_path
from fedvox.data.samplers.settings import SamplerSettings
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError

CANARY = "miller_anna_1955"
KEY = b"secret of the site"
SPACING = (3.0, 3.0, 4.0)  # as the volumes of make_plain_site are stored
SETTINGS = DataSettings(organs=("spleen", "liver"), spacing=SPACING, patch=(8, 8, 8))


@pytest.fixture
def no_reading(monkeypatch):
    """Returns a switch after which every look into an image fails."""

    def switch():
        def fail(path):
            raise AssertionError("the image was read again")

        monkeypatch.setattr(channels, "load_image", fail)

    return switch


def test_second_preparation_reads_no_image(case, cache, no_reading):
    first = prepare_case(case, SETTINGS, cache, KEY)
    no_reading()
    assert prepare_case(case, SETTINGS, cache, KEY) == first


def test_patch_size_and_sampling_do_not_invalidate_the_cache(case, cache, no_reading):
    first = prepare_case(case, SETTINGS, cache, KEY)
    no_reading()
    sampler = SamplerSettings("another")
    other = dataclasses.replace(SETTINGS, patch=(16, 16, 16), sampler=sampler)
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


@pytest.mark.parametrize("part", ["dicom", "png"])
@pytest.mark.parametrize("change", ["time", "rename", "remove"])
def test_changed_file_in_a_folder_is_prepared_anew(dicom_case, cache, part, change):
    name = prepared_path(dicom_case, SETTINGS, cache, KEY)
    assert prepared_path(dicom_case, SETTINGS, cache, KEY) == name
    folder = dicom_case.images["ct"] if part == "dicom" else dicom_case.labels[0].path
    path = sorted(folder.iterdir())[2]
    if change == "time":
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    elif change == "rename":
        path.rename(path.with_name(f"{path.stem}-1{path.suffix}"))
    else:
        path.unlink()
    assert prepared_path(dicom_case, SETTINGS, cache, KEY) != name
