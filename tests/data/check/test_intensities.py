import numpy as np
import pytest

from fedvox.data.check.intensities import BINS, CT_RANGE, intensities, odd_intensities
from fedvox.finding import WARN

SHAPE = (20, 20, 20)


def ct() -> np.ndarray:
    rng = np.random.default_rng(0)
    image = rng.normal(50, 20, SHAPE).astype(np.float32)
    image[:5] = rng.normal(-1000, 20, (5, 20, 20))
    return image


def mr() -> np.ndarray:
    image = np.abs(np.random.default_rng(1).normal(0, 10, SHAPE)).astype(np.float32)
    image[5:15, 5:15, 5:15] = np.random.default_rng(2).normal(600, 100, (10, 10, 10))
    return image


def test_ct_is_counted_in_hu():
    seen = intensities(ct(), "ct")
    assert seen.shares.shape == (BINS,) and seen.shares.sum() == pytest.approx(1)
    width = (CT_RANGE[1] - CT_RANGE[0]) / BINS
    air = int((-1000 - CT_RANGE[0]) / width)
    assert seen.shares[air - 2 : air + 3].sum() == pytest.approx(0.25, abs=0.01)
    assert seen.low < -1000 and 50 < seen.high < 150


def test_mri_is_counted_in_the_body_on_its_own_scale():
    seen, scaled = intensities(mr(), "mr"), intensities(7 * mr(), "mr")
    np.testing.assert_allclose(seen.shares, scaled.shares, atol=2e-3)
    assert seen.shares.sum() == pytest.approx(1)
    assert 250 < seen.low < 450 and 800 < seen.high < 1000


def test_values_beyond_the_range_are_counted_at_its_ends():
    image = ct()
    image[0, 0, :10] = 30000
    assert intensities(image, "ct").shares[-1] == pytest.approx(10 / 8000)


def test_two_valued_image_is_counted():
    image = np.zeros(SHAPE, np.float32)
    image[5:] = 1
    assert intensities(image, "mr").shares.sum() == pytest.approx(1)


def test_numbers_of_the_modality_are_not_odd():
    assert odd_intensities(ct(), "ct") is None
    assert odd_intensities(mr(), "mr") is None
    assert odd_intensities((mr() - 300) / 200, "mr") is None  # z-scores


def test_ct_without_fat_and_air_is_looked_at():
    found = odd_intensities(mr() - 40, "ct")  # an MRI with a few negative values
    assert found.status == WARN and "less than fat and air in a CT" in found.message


def test_mri_with_values_of_fat_is_looked_at():
    image = ct().clip(-120, 300)  # a CT without air
    found = odd_intensities(image, "mr")
    assert found.status == WARN and "25% of the scan lies below -50" in found.message


@pytest.mark.parametrize("value", [-400, -1024, -3024])
def test_padding_makes_no_mri_odd_and_changes_none_of_its_counts(value):
    padded = mr()
    padded[:3] = value
    assert odd_intensities(padded, "mr") is None
    seen, whole = intensities(padded, "mr"), intensities(mr()[3:], "mr")
    np.testing.assert_allclose(seen.shares, whole.shares, atol=5e-3)
    found = odd_intensities(np.where(padded == value, value, padded - 40), "ct")
    assert found is not None and found.message.startswith("0.") and "less than fat" in found.message
