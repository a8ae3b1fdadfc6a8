"""Losses by name: logits and target to a scalar. One file each, one entry here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fedvox.losses.settings import DiceFocalSettings, LossSettings
from fedvox.registry import Registry

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    from torch import Tensor

    from fedvox.losses.target import Target

Loss: TypeAlias = "Callable[[Tensor, Target], Tensor]"
"""``(logits (B, 1 + O, X, Y, Z), target) -> scalar``."""

LOSSES: Registry[Callable[[Any], Loss]] = Registry("loss")
"""Name -> builder, from its own settings."""


@LOSSES.register("dice_ce", LossSettings)
def _dice_ce(settings: LossSettings) -> Loss:
    from fedvox.losses.dice_ce import dice_ce

    return dice_ce


@LOSSES.register("dice_focal", DiceFocalSettings)
def _dice_focal(settings: DiceFocalSettings) -> Loss:
    from fedvox.losses.dice_focal import dice_focal

    return lambda logits, target: dice_focal(logits, target, settings.gamma)


def build_loss(settings: LossSettings) -> Loss:
    """The loss that the settings name.

    Args:
        settings: ``training.loss`` of a job.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    return LOSSES[settings.name](settings)
