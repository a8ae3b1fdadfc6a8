import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.quality.signal import noise_share, signal_quality

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(24, 24, 24)).astype(np.float32)
TISSUE = np.kron(RNG.uniform(0.3, 0.7, (2, 2, 2)), np.ones((12, 12, 12))).astype(np.float32)


@pytest.mark.parametrize("sd", [0.02, 0.05, 0.1, 0.2])
def test_the_share_of_noise_is_that_which_was_added(sd):
    expected = sd**2 / (TISSUE.var() + sd**2)
    # Every twelfth second difference crosses a block's face, which the quartile feels a little.
    assert noise_share(TISSUE + sd * NORMAL) == pytest.approx(expected, rel=0.25)


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3))
def test_gain_and_offset_change_nothing(gain, offset):
    image = (TISSUE + 0.1 * NORMAL).astype(np.float64)
    assert signal_quality(gain * image + offset) == pytest.approx(signal_quality(image), rel=1e-6)


def test_more_noise_is_worth_less_and_pure_noise_nearly_nothing():
    told = [signal_quality(TISSUE + sd * NORMAL) for sd in (0.01, 0.05, 0.1, 0.2, 5.0)]
    assert told == sorted(told, reverse=True)
    assert told[0] > 0.95 and told[-1] < 0.05


def test_cut_away_saturated_and_filled_voxels_do_not_count():
    image = TISSUE + 0.05 * NORMAL
    padded = np.pad(image, 12)  # skull-stripped: exactly 0 outside
    padded[:3], padded[-1:] = 1.0, 0.5
    assert noise_share(padded) == pytest.approx(noise_share(image), rel=0.2)


def test_resampling_along_one_axis_does_not_hide_the_noise():
    image = TISSUE + 0.1 * NORMAL
    smooth = (image[:, :, :-1] + image[:, :, 1:]) / 2
    assert noise_share(smooth) > 0.3 * noise_share(image)


@pytest.mark.parametrize("image", [np.zeros((24, 24, 24)), np.ones((4, 4, 4)), NORMAL[:5, :5, :5]])
def test_nothing_is_said_of_too_few_measured_voxels(image):
    assert noise_share(image) is None and signal_quality(image) is None
