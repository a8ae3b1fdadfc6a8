"""Augmentations: tensor to tensor, pure, every draw from a given generator; training only."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fedvox.augment.settings import AugmentationSettings, GinAugmentation
from fedvox.registry import Registry

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    import torch
    from torch import Tensor

Intensity: TypeAlias = "Callable[[Tensor, torch.Generator], Tensor]"

INTENSITY: Registry[Callable[[Any], Intensity]] = Registry("intensity augmentation")
"""Name -> builder, from its own settings."""

INTENSITY.register("none", AugmentationSettings)(lambda settings: unchanged)
INTENSITY.register("gin", GinAugmentation)(lambda settings: _gin(settings))


def unchanged(x: "Tensor", generator: "torch.Generator") -> "Tensor":
    """No augmentation: returns ``x`` itself and draws nothing."""
    return x


def _gin(settings: GinAugmentation) -> Intensity:
    from fedvox.augment.gin import Gin

    return Gin(settings.gin)


def build_intensity(settings: AugmentationSettings) -> Intensity:
    """The intensity augmentation that the settings name.

    Args:
        settings: the ``augmentation`` section of a training configuration.

    Returns:
        a function of images ``(B, C, X, Y, Z)`` in [0, 1] and a CPU generator.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    return INTENSITY[settings.name](settings)
