"""Networks by name. One file each, one line here."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fedvox.errors import ConfigError
from fedvox.networks.mixmodal import MixModalSettings, build_mixmodal
from fedvox.networks.settings import NetworkSettings, Sizes
from fedvox.networks.swin_unetr import SwinUNETRSettings, build_swin_unetr
from fedvox.networks.unet import UNetSettings, build_unet
from fedvox.networks.unetr import UNETRSettings, build_unetr
from fedvox.registry import Registry

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    from torch import nn

NETWORKS: 'Registry[Callable[[Any, Sizes], "nn.Module"]]' = Registry("network")
"""Name -> builder, from its own settings and what the job fixes of its input and output."""
NETWORKS.register("unet", UNetSettings)(build_unet)
NETWORKS.register("swin_unetr", SwinUNETRSettings)(build_swin_unetr)
NETWORKS.register("unetr", UNETRSettings)(build_unetr)
NETWORKS.register("mixmodal", MixModalSettings)(build_mixmodal)


def build_network(settings: NetworkSettings, sizes: Sizes, seed: int) -> "nn.Module":
    """Builds a network with weights that depend on ``seed`` alone.

    Args:
        settings: architecture.
        sizes: input channels, classes and patch.
        seed: seeds the initial weights; the global random state is left as it was.

    Raises:
        ConfigError: unknown network name, or a package that it needs is not installed.
    """
    import torch

    builder = NETWORKS[settings.name]
    for package in settings.packages:
        if find_spec(package) is None:
            raise ConfigError(
                f"network '{settings.name}' needs the package {package}, which is not installed "
                f"here; install fedvox[train] again, or {package} alone"
            )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed CUDA
        return builder(settings, sizes)
