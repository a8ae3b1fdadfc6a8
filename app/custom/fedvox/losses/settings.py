"""What a loss may be told; nothing here needs PyTorch."""

from dataclasses import dataclass

from fedvox.config import setting


@dataclass(frozen=True)
class LossSettings:
    """What every loss's settings say.

    Attributes:
        name: a registered loss; it decides which further keys there are. `"loss": "dice_ce"` is
            short for a section with nothing but its name.
    """

    name: str = "dice_ce"


@dataclass(frozen=True)
class DiceFocalSettings(LossSettings):
    """Soft Dice plus focal loss.

    Attributes:
        name: a registered loss; it decides which further keys there are. `"loss": "dice_ce"` is
            short for a section with nothing but its name.
        gamma: of `dice_focal`: how much less a voxel counts the surer its class is; 0 is
            cross-entropy.
    """

    name: str = "dice_focal"
    gamma: float = setting(2.0, low=0.0, high=10.0)
