"""MONAI's U-Net with instance normalisation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedvox.config import setting
from fedvox.errors import ConfigError
from fedvox.networks.settings import NetworkSettings, Sizes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class UNetSettings(NetworkSettings):
    """A U-Net of plain or residual convolutions.

    Attributes:
        name: a registered network; it decides which further keys there are.
        channels: feature channels per level, from full resolution down; each level halves the grid.
        residual_units: residual convolutions per level; 0 gives two plain convolutions.
        norm: ``instance`` keeps no statistics of any site's intensities; ``batch`` does.
    """

    name: str = "unet"
    channels: tuple[int, ...] = setting((8, 16, 32, 64), low=1, high=2048)
    residual_units: int = setting(2, low=0, high=8)
    norm: str = setting("instance", choices=("instance", "batch"))

    def __post_init__(self) -> None:
        """Checks the number of levels.

        Raises:
            ConfigError: fewer than two.
        """
        if len(self.channels) < 2:
            raise ConfigError("'network.channels' needs at least two levels, e.g. [8, 16, 32, 64]")

    @property
    def patch_multiple(self) -> int:
        """Each level but the first halves the grid."""
        return int(2 ** (len(self.channels) - 1))

    @property
    def levels(self) -> str:
        """The levels are those of ``channels``."""
        return f"the {len(self.channels)} levels of 'network.channels'"

    @property
    def norm_remedy(self) -> str:
        """MONAI's instance normalisation has neither weights nor running statistics."""
        if self.norm == "batch":
            return ""
        return "instance normalisation holds none; set 'network.norm' to batch"


def build_unet(settings: UNetSettings, sizes: Sizes) -> "nn.Module":
    """Builds a 3D U-Net that maps ``(B, in_channels, X, Y, Z)`` to logits ``(B, classes, ...)``.

    Args:
        settings: channels per level and residual units.
        sizes: input channels and classes.

    Reference:
        Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", STACOM 2018 (MONAI).
    """
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims=3,
        in_channels=sizes.in_channels,
        out_channels=sizes.classes,
        channels=settings.channels,
        strides=(2,) * (len(settings.channels) - 1),
        num_res_units=settings.residual_units,
        norm=settings.norm,
    )
