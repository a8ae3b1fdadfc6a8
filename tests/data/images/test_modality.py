from dataclasses import replace

import numpy as np
import pytest

from fedvox.data.images.modality import check_modality, recognise_modality
from fedvox.data.images.nifti import Volume
from fedvox.errors import DataError

SHAPE = (20, 20, 20)


def volume(data: np.ndarray) -> Volume:
    return Volume(data.astype(np.float32), np.eye(4), None)


def ct(air: float, offset: float = 0.0) -> Volume:
    """Soft tissue with fat, and a share of air at −1000 HU."""
    rng = np.random.default_rng(0)
    data = rng.normal(40, 20, SHAPE)
    data[:, :, :3] = rng.normal(-100, 10, (20, 20, 3))
    data.ravel()[: int(air * data.size)] = -1000
    return volume(data + offset)


def mr(scale: float = 300.0) -> Volume:
    """Noise around 0 in the air and a body of all intensities up to about twice the scale."""
    rng = np.random.default_rng(0)
    data = np.abs(rng.normal(0, 0.02 * scale, SHAPE))
    data[4:16, 4:16] = rng.uniform(0.2 * scale, 2 * scale, (12, 12, 20))
    return volume(data)


@pytest.mark.parametrize("known", [("ct",), ("ct", "mr"), ("mr", "ct"), ("t1", "t2", "ct")])
def test_air_tells_a_ct(known):
    told = recognise_modality(ct(air=0.4), known)
    assert told.modality == "ct"
    assert told.reason == "40% of the scan lies below -300, as air in a CT does"


def test_ct_is_refused_for_a_model_without_ct():
    with pytest.raises(DataError, match="as air in a CT does; the model was trained for mr"):
        recognise_modality(ct(air=0.4), ("mr",))


@pytest.mark.parametrize("scale", [1.0, 300.0, 2000.0, 1e5])
@pytest.mark.parametrize("known", [("ct", "mr"), ("mr",)])
def test_no_ct_is_the_models_only_other_modality(scale, known):
    told = recognise_modality(mr(scale), known)
    assert told.modality == "mr"
    assert "no air or fat as in a CT" in told.reason and "mr" in told.reason


def test_resampled_mri_with_a_few_values_below_zero_is_no_ct():
    image = mr()
    image.data[0, 0, :5] = -60
    assert recognise_modality(image, ("ct", "mr")).modality == "mr"


def test_contrasts_of_mri_are_not_guessed():
    with pytest.raises(DataError, match=r"which MRI it is; name its modality: t1, t2$"):
        recognise_modality(mr(), ("ct", "t1", "t2"))


def test_no_ct_is_refused_for_a_model_of_ct_alone():
    with pytest.raises(DataError, match="trained for CT alone"):
        recognise_modality(mr(), ("ct",))


@pytest.mark.parametrize("known", [("ct", "mr"), ("mr",)])
@pytest.mark.parametrize(
    "scan", [ct(air=0.0), ct(air=0.3, offset=1024.0)], ids=["cropped to the body", "lost offset"]
)
def test_what_may_be_a_ct_without_its_air_is_not_guessed(scan, known):
    with pytest.raises(DataError, match=f"whether it is a CT; name its modality: {known[0]}"):
        recognise_modality(scan, known)


def test_named_modality_is_held_against_the_numbers():
    check_modality(ct(air=0.4), "ct")
    check_modality(mr(), "mr")
    with pytest.raises(DataError, match="its modality is ct"):
        check_modality(ct(air=0.4), "mr")
    with pytest.raises(DataError, match="no value below 0"):
        check_modality(mr(), "ct")


@pytest.mark.parametrize("modality", ["ct", "mr", "t1"])
@pytest.mark.parametrize("organs", [1, 7])
def test_labels_in_the_place_of_a_scan_are_refused(modality, organs):
    labels = np.zeros(SHAPE)
    labels[5:15, 5:15, 5:15] = np.arange(1000).reshape(10, 10, 10) % organs + 1
    with pytest.raises(DataError, match=r"different numbers only, as labels do.*; put the scan"):
        check_modality(volume(labels), modality)
    with pytest.raises(DataError, match="as labels do"):
        recognise_modality(volume(labels), ("ct", "mr"))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_scan_of_few_bits_is_not_taken_for_labels(bits):
    image = mr(1.0)
    check_modality(volume(np.rint(image.data / image.data.max() * (2**bits - 1))), "mr")


@pytest.mark.parametrize("slope", [10, 1e10])
def test_numbers_far_beyond_hu_are_refused(slope):
    noise = np.random.default_rng(1).normal(0, 20, SHAPE)
    image = volume(slope * (ct(air=0.4).data + noise))
    with pytest.raises(DataError, match="far beyond what HU can be: a wrong slope"):
        check_modality(image, "ct")
    with pytest.raises(DataError, match="far beyond"):
        recognise_modality(image, ("ct", "mr"))


def test_metal_and_padding_are_not_beyond_hu():
    image = ct(air=0.4)
    image.data[:, :, 18:] = -32768
    image.data[0, :5, :17] = 60_000
    check_modality(image, "ct")


@pytest.mark.parametrize("told", ["PT", "NM", "US", "CR", "DX", "MG", "XA", "RF"])
def test_a_series_of_another_modality_is_no_mri(told):
    image = replace(mr(), told=told)
    with pytest.raises(DataError, match=r"DICOM header says .*; leave it out: CT and MRI only"):
        check_modality(image, "mr")
    with pytest.raises(DataError, match="DICOM header says"):
        recognise_modality(image, ("ct", "mr"))


def test_a_series_that_names_another_modality_than_the_site_is_refused():
    with pytest.raises(DataError, match="says MR, it is named as ct; name it rightly, or leave"):
        check_modality(replace(ct(air=0.4), told="MR"), "ct")
    with pytest.raises(DataError, match="says CT, it is named as t2"):
        check_modality(replace(mr(), told="CT"), "t2")


@pytest.mark.parametrize("told", ["", "OT", "MR"])
def test_a_header_that_agrees_or_says_nothing_is_no_reason(told):
    check_modality(replace(mr(), told=told), "flair")
