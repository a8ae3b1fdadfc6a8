"""Intensity augmentations by name."""

import pytest
import torch

from fedvox.augment import INTENSITY, build_intensity
from fedvox.augment.gin import Gin, GinSettings
from fedvox.augment.settings import AugmentationSettings, GinAugmentation
from fedvox.config import build, to_mapping
from fedvox.seeding import generator


def test_names_are_none_and_gin():
    assert {"none", "gin"} <= set(INTENSITY)


def test_none_returns_the_very_same_tensor_and_draws_nothing():
    x, source = torch.rand(1, 1, 4, 4, 4), generator(0)
    before = source.get_state()
    assert build_intensity(AugmentationSettings(name="none"))(x, source) is x
    assert torch.equal(source.get_state(), before)


def test_gin_is_built_with_its_own_settings():
    chosen = GinAugmentation(gin=GinSettings(probability=0.0))
    x = torch.rand(1, 1, 4, 4, 4)
    assert torch.equal(build_intensity(chosen)(x, generator(0)), x)
    assert isinstance(build_intensity(GinAugmentation()), Gin)


@pytest.mark.parametrize("name", sorted(INTENSITY))
def test_every_entry_keeps_shape_and_dtype(name):
    x = torch.rand(2, 1, 6, 7, 8, generator=generator(0))
    y = build_intensity(INTENSITY.settings(name)())(x, generator(0))
    assert y.shape == x.shape
    assert y.dtype == x.dtype


def test_settings_survive_json():
    chosen = GinAugmentation(gin=GinSettings(kernel_sizes=(1, 3, 5)))
    assert build(GinAugmentation, to_mapping(chosen), "training.json") == chosen
