"""MONAI's SwinUNETR: an encoder of shifted-window attention, a convolutional decoder.

Dropout and stochastic depth are left out: they draw from the global random state.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedvox.config import setting
from fedvox.errors import ConfigError
from fedvox.networks.settings import NetworkSettings, Sizes

if TYPE_CHECKING:
    from torch import nn

STAGES = 4
FEATURE_STEP = 12
"""MONAI builds feature sizes that are multiples of this only."""


@dataclass(frozen=True)
class SwinUNETRSettings(NetworkSettings):
    """A Swin transformer whose four stages feed a decoder of convolutions.

    With the other defaults ``feature_size`` 12 has 4.1 million weights and trains on a CPU at
    patches of 64³; 24 has 15.7 million, 48 has 62 million, for GPUs and patches of 96³ and more.
    The deepest level is a 32nd of the patch: 32³ leaves one voxel there and is refused.

    Attributes:
        name: a registered network; it decides which further keys there are.
        feature_size: of ``swin_unetr``: feature channels at full resolution, a multiple of 12; each
            stage doubles them.
        depths: of ``swin_unetr``: attention blocks of each of the four stages.
        heads: of ``swin_unetr``: attention heads of each stage; each must divide the stage's
            channels, which are ``feature_size`` times 1, 2, 4 and 8.
        window: of ``swin_unetr``: edge of an attention window in tokens of two voxels.
        v2: of ``swin_unetr``: a residual convolution before each stage, as in SwinUNETR-V2.
    """

    name: str = "swin_unetr"
    feature_size: int = setting(24, low=FEATURE_STEP, high=384)
    depths: tuple[int, ...] = setting((2, 2, 2, 2), low=1, high=32)
    heads: tuple[int, ...] = setting((3, 6, 12, 24), low=1, high=512)
    window: int = setting(7, low=2, high=16)
    v2: bool = False

    def __post_init__(self) -> None:
        """Checks what MONAI would refuse while it builds.

        Raises:
            ConfigError: not a multiple of 12, not four stages, or heads that do not divide.
        """
        if self.feature_size % FEATURE_STEP:
            raise ConfigError(
                f"'network.feature_size' is {self.feature_size}; it must be a multiple of "
                f"{FEATURE_STEP}"
            )
        for key in ("depths", "heads"):
            if len(getattr(self, key)) != STAGES:
                raise ConfigError(
                    f"'network.{key}' has {len(getattr(self, key))} values; swin_unetr needs "
                    f"{STAGES}, one per stage"
                )
        channels = [self.feature_size * 2**stage for stage in range(STAGES)]
        if any(width % heads for width, heads in zip(channels, self.heads)):
            raise ConfigError(
                f"'network.heads' is {list(self.heads)}; each must divide the channels of its "
                f"stage, which are {channels}"
            )

    @property
    def patch_multiple(self) -> int:
        """Tokens of two voxels, then each stage halves the grid."""
        return int(2 ** (STAGES + 1))

    @property
    def width(self) -> str:
        """Every layer's width follows from the feature size."""
        return "'network.feature_size'"

    @property
    def packages(self) -> tuple[str, ...]:
        """MONAI takes tokens apart with einops, and does not bring it."""
        return ("einops",)


def build_swin_unetr(settings: SwinUNETRSettings, sizes: Sizes) -> "nn.Module":
    """Builds a network from ``(B, C, X, Y, Z)`` to logits ``(B, classes, X, Y, Z)``.

    Its index tables of relative positions are int64 buffers, equal at every site: they are part
    of its state and never travel.

    Args:
        settings: feature size, stages and attention window.
        sizes: input channels and classes; the patch may be of any multiple of 32.

    Reference:
        Hatamizadeh et al., "Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors
        in MRI Images", BrainLes 2021. He et al., "SwinUNETR-V2", MICCAI 2023 (``v2``).
    """
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(
        in_channels=sizes.in_channels,
        out_channels=sizes.classes,
        feature_size=settings.feature_size,
        depths=settings.depths,
        num_heads=settings.heads,
        window_size=settings.window,
        norm_name="instance",
        use_v2=settings.v2,
    )
