"""What a case adds to a fingerprint, and what fixed bins make of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.cases.case import Case, LabelFile
from fedvox.errors import DataError
from fedvox.planning.fingerprint import (
    EXTENT,
    FEATURES,
    ORGAN_HU,
    SPACING,
    Bins,
    case_fingerprint,
    features_of,
    quantile,
    summarise_cases,
)


@pytest.fixture
def make_case(write_nifti, tmp_path):
    """Noisy air with a liver of 100 HU, a spleen of 50 HU and a stomach that no job trains."""

    def make(affine=None, organ=100, name="case", modality="ct"):
        label = np.zeros((12, 14, 16), np.uint8)
        label[1:5], label[6:7], label[8:11] = 1, 2, 3
        image = np.array([-1000, organ, 50, 20], np.int16)[label] + 1100 * (modality == "mr")
        image[label == 0] += np.arange((label == 0).sum(), dtype=np.int16) % 40
        affine = np.diag([3.0, 2.0, 4.0, 1.0]) if affine is None else affine
        write_nifti(tmp_path / f"{name}.nii.gz", image, affine)
        write_nifti(tmp_path / f"{name}_label.nii.gz", label, affine)
        values = {1: "liver", 2: "spleen", 3: "stomach"}
        return Case(
            name,
            name,
            {modality: tmp_path / f"{name}.nii.gz"},
            (LabelFile(tmp_path / f"{name}_label.nii.gz", values),),
        )

    return make


def test_a_case_tells_spacing_and_extent_in_mm(make_case):
    found = case_fingerprint(make_case(), ("liver",))
    assert found.spacing == (3.0, 2.0, 4.0)
    assert found.extent == (36.0, 28.0, 64.0)


def test_axes_are_right_anterior_superior_however_they_are_stored(make_case):
    turned = np.array([[0, 0, -4.0, 0], [3.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    found = case_fingerprint(make_case(turned), ("liver",))
    assert found.spacing == pytest.approx((4.0, 3.0, 2.0))
    assert found.extent == pytest.approx((64.0, 36.0, 28.0))


def test_hu_are_those_inside_the_job_s_organs_only(make_case):
    shares = case_fingerprint(make_case(), ("liver", "spleen")).organ_hu
    bins = FEATURES[ORGAN_HU]
    assert shares.sum() == pytest.approx(1)
    assert shares[bins.histogram(np.array([100.0])) > 0] == pytest.approx(0.8)
    assert shares[bins.histogram(np.array([50.0])) > 0] == pytest.approx(0.2)


def test_a_case_without_an_organ_of_the_job_has_no_hu_but_a_spacing(make_case):
    found = case_fingerprint(make_case(), ("pancreas",))
    assert found.organ_hu is None
    assert found.spacing == (3.0, 2.0, 4.0)


def test_mr_has_no_hu(make_case):
    assert case_fingerprint(make_case(modality="mr"), ("liver",)).organ_hu is None
    assert ORGAN_HU in features_of("ct")
    assert ORGAN_HU not in features_of("mr")


@pytest.mark.parametrize("order", [("ct", "mr"), ("mr", "ct")])
def test_hu_are_those_of_the_ct_among_several_images(make_case, order):
    alone, other = make_case(), make_case(name="other", modality="mr")
    images = {**alone.images, **other.images}
    both = dataclasses.replace(alone, images={name: images[name] for name in order})
    found = case_fingerprint(both, ("liver",)).organ_hu
    assert np.array_equal(found, case_fingerprint(alone, ("liver",)).organ_hu)
    assert (
        summarise_cases("+".join(order), 1, [case_fingerprint(both, ("liver",))]).counted[ORGAN_HU]
        == 1
    )


def test_an_unreadable_image_is_refused_without_its_name(make_case):
    case = make_case(name="MUELLER")
    Path(case.images["ct"]).write_bytes(b"nothing")
    with pytest.raises(DataError) as error:
        case_fingerprint(case, ("liver",))
    assert "MUELLER" not in str(error.value)


def test_a_site_s_histograms_count_cases_whatever_their_size(make_case):
    cases = [case_fingerprint(make_case(organ=hu), ("liver",)) for hu in (100, 200)]
    site = summarise_cases("ct", 3, [*cases, case_fingerprint(make_case(), ("pancreas",))])
    assert site.cases == 3
    assert site.counted == {**dict.fromkeys((*SPACING, *EXTENT), 3), ORGAN_HU: 2}
    assert {name: bins.sum() for name, bins in site.histograms.items()} == site.counted
    assert site.shares(ORGAN_HU).max() == 0.5


def test_a_round_voxel_size_is_met_exactly():
    bins = FEATURES["spacing_r"]
    for size in (0.5, 0.8, 1.0, 1.5, 3.0, 5.0):
        assert quantile(bins.histogram(np.array([size * (1 + 1e-7)])), bins, 0.5) == size


@given(st.lists(st.floats(0.05, 19.9), min_size=1, max_size=30))
def test_the_median_is_within_half_a_bin(sizes):
    bins = FEATURES["spacing_r"]
    found = quantile(bins.histogram(np.array(sizes)) / len(sizes), bins, 0.5)
    wanted = sorted(sizes)[(len(sizes) - 1) // 2]
    assert abs(found - wanted) <= bins.width / 2 + 1e-6


def test_values_outside_count_in_the_outer_bins():
    bins = Bins(0.0, 1.0, 3)
    assert bins.histogram(np.array([-5.0, 0.5, 99.0])).tolist() == [2, 0, 1]
    assert (bins.low, bins.high, bins.edges.tolist()) == (0.0, 3.0, [0, 1, 2, 3])
