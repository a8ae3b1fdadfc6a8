"""MONAI's UNETR: a vision transformer over tokens of 16³ voxels, a convolutional decoder.

Dropout is left out: it draws from the global random state.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedvox.config import setting
from fedvox.errors import ConfigError
from fedvox.networks.settings import NetworkSettings, Sizes

if TYPE_CHECKING:
    from torch import nn

TOKEN = 16
"""Edge of a token in voxels."""


@dataclass(frozen=True)
class UNETRSettings(NetworkSettings):
    """A vision transformer of twelve blocks whose hidden states feed a decoder of convolutions.

    The defaults are the paper's, for GPUs: about 100 million weights. On a CPU trains
    ``feature_size`` 8 with ``hidden`` 96, ``mlp`` 192 and ``heads`` 4: 3 million. Each token has a
    learned position, so weights fit one patch only: another ``data.patch`` is another network.

    Attributes:
        name: a registered network; it decides which further keys there are.
        feature_size: of ``unetr``: feature channels at full resolution; each level of the decoder
            doubles them.
        hidden: of ``unetr``: numbers per token.
        mlp: of ``unetr``: width of the layer between two attentions.
        heads: of ``unetr``: attention heads; they must divide ``hidden``.
    """

    name: str = "unetr"
    feature_size: int = setting(16, low=1, high=512)
    hidden: int = setting(768, low=1, high=4096)
    mlp: int = setting(3072, low=1, high=16384)
    heads: int = setting(12, low=1, high=512)

    def __post_init__(self) -> None:
        """Checks what MONAI would refuse while it builds.

        Raises:
            ConfigError: the heads do not divide the hidden size.
        """
        if self.hidden % self.heads:
            raise ConfigError(
                f"'network.heads' is {self.heads}; it must divide 'network.hidden', {self.hidden}"
            )

    @property
    def patch_multiple(self) -> int:
        """The edge of a token."""
        return TOKEN

    @property
    def width(self) -> str:
        """Most weights lie in the transformer."""
        return "'network.hidden'"

    @property
    def packages(self) -> tuple[str, ...]:
        """MONAI takes tokens apart with einops, and does not bring it."""
        return ("einops",)


def build_unetr(settings: UNETRSettings, sizes: Sizes) -> "nn.Module":
    """Builds a network from ``(B, C, X, Y, Z)`` to logits ``(B, classes, X, Y, Z)``.

    Args:
        settings: widths of transformer and decoder.
        sizes: input channels, classes and the one patch that it takes.

    Reference:
        Hatamizadeh et al., "UNETR: Transformers for 3D Medical Image Segmentation", WACV 2022.
    """
    from monai.networks.nets import UNETR

    return UNETR(
        in_channels=sizes.in_channels,
        out_channels=sizes.classes,
        img_size=sizes.patch,
        feature_size=settings.feature_size,
        hidden_size=settings.hidden,
        mlp_dim=settings.mlp,
        num_heads=settings.heads,
        norm_name="instance",
    )
