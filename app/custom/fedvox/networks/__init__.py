"""Networks by name. One file each, one line here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fedvox.networks.settings import NetworkSettings
from fedvox.networks.unet import UNetSettings, build_unet
from fedvox.registry import Registry

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    from torch import nn

NETWORKS: 'Registry[Callable[[Any, int, int], "nn.Module"]]' = Registry("network")
"""Name -> builder, from its own settings, input channels and classes."""
NETWORKS.register("unet", UNetSettings)(build_unet)


def build_network(
    settings: NetworkSettings, classes: int, seed: int, in_channels: int = 1
) -> "nn.Module":
    """Builds a network with weights that depend on ``seed`` alone.

    Args:
        settings: architecture.
        classes: organs plus background.
        seed: seeds the initial weights; the global random state is left as it was.
        in_channels: images of a case, one channel each.

    Raises:
        ConfigError: unknown network name.
    """
    import torch

    builder = NETWORKS[settings.name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed CUDA
        return builder(settings, in_channels, classes)
