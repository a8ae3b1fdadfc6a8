"""MONAI's U-Net with instance normalisation."""

from typing import TYPE_CHECKING

from fedvox.networks.settings import NetworkSettings

if TYPE_CHECKING:
    from torch import nn


def build_unet(settings: NetworkSettings, in_channels: int, classes: int) -> "nn.Module":
    """Builds a 3D U-Net that maps ``(B, in_channels, X, Y, Z)`` to logits ``(B, classes, ...)``.

    Args:
        settings: channels per level and residual units.
        in_channels: modalities per case.
        classes: organs plus background.

    Reference:
        Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", STACOM 2018 (MONAI).
    """
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=classes,
        channels=settings.channels,
        strides=(2,) * (len(settings.channels) - 1),
        num_res_units=settings.residual_units,
        norm=settings.norm,
    )
