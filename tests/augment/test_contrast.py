"""Mean and spread of a sample: given back, then moved within stated ranges."""

import pytest
import torch

from fedvox.augment.contrast import keep_moments, vary_contrast
from fedvox.augment.settings import ContrastSettings
from fedvox.errors import ConfigError
from fedvox.seeding import generator


def volumes(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_an_augmented_image_gets_its_mean_and_spread_back_per_sample_and_channel():
    x = volumes(2, 3, 6, 7, 8) * torch.tensor([1.0, 2.0, 4.0])[None, :, None, None, None]
    kept = keep_moments(5 - 3 * x**2, x)
    for own, expected in zip(*(torch.std_mean(i, (2, 3, 4), correction=0) for i in (kept, x))):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_a_change_of_scale_and_offset_alone_is_undone():
    x = volumes(1, 1, 8, 8, 8)
    # 1e-5 of floor against a spread of 2.9
    torch.testing.assert_close(keep_moments(10 * x + 3, x), x, rtol=1e-4, atol=1e-5)


def test_an_inverted_contrast_stays_inverted():
    x = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 4, 1, 1)
    expected = torch.tensor([1.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(keep_moments(-x, x).flatten(), expected, rtol=0, atol=2e-5)


def test_a_constant_image_stays_as_it_was():
    x = torch.full((1, 1, 4, 4, 4), 0.5)
    assert torch.equal(keep_moments(7 * x, x), x)


def test_what_was_not_augmented_is_left_alone():
    x = volumes(1, 1, 4, 4, 4)
    assert keep_moments(x, x) is x


def test_contrast_equals_the_formula_for_all_channels_of_a_sample():
    x = volumes(3, 2, 5, 6, 7)
    factor, shift = torch.rand(2, 3, 1, 1, 1, 1, generator=generator(4))
    mean = x.mean((2, 3, 4), keepdim=True)
    spread = ((x - mean) ** 2).mean((2, 3, 4), keepdim=True).sqrt()
    expected = (x - mean) * (0.5 + 1.5 * factor) + mean + 0.3 * (2 * shift - 1) * spread
    moved = vary_contrast(x, ContrastSettings(0.5, 2.0, 0.3), generator(4))
    torch.testing.assert_close(moved, expected)


def test_contrast_stays_in_its_ranges_and_reaches_their_ends():
    x = volumes(1, 1, 4, 4, 4).expand(400, -1, -1, -1, -1)
    moved = vary_contrast(x, ContrastSettings(), generator(0))
    factor = moved.std((2, 3, 4)) / x.std((2, 3, 4))
    shift = (moved - x).mean((2, 3, 4)) / x.std((2, 3, 4), correction=0)
    for drawn, low, high in ((factor, 0.6, 1.4), (shift, -0.5, 0.5)):
        assert low - 1e-4 <= drawn.min() < low + 0.02
        assert high - 0.02 < drawn.max() <= high + 1e-4


def test_without_ranges_nothing_changes_and_the_same_numbers_are_drawn():
    x, source, other = volumes(2, 1, 4, 4, 4), generator(0), generator(0)
    still = ContrastSettings(low=1.0, high=1.0, brightness=0.0)
    assert vary_contrast(x, still, source) is x
    vary_contrast(x, ContrastSettings(), other)
    assert torch.equal(torch.rand(3, generator=source), torch.rand(3, generator=other))


def test_ranges_that_fall_are_refused():
    with pytest.raises(ConfigError, match=r"'low' is 2.0; it must not exceed 'high' \(1.4\)"):
        ContrastSettings(low=2.0)
