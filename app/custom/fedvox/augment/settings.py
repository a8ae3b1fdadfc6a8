"""The ``augmentation`` section of a training configuration.

Nothing here needs PyTorch: a job can be read, shown and exported where nobody trains.
"""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class GinSettings:
    """What GIN draws.

    Args:
        probability: chance that a sample is augmented at all.
        layers: number of convolutions.
        channels: width of the hidden layers.
        kernel_sizes: pool of odd kernel sizes, from which each layer draws one uniformly.
        per_batch: one draw (network, mixing weight, decision) for the whole batch, in the manner
            of FedGIN's published code, instead of one per sample, as in the original.
        slope: negative slope of the leaky ReLU after every layer but the last.
        clip: clip the result to [0, 1]; the norm is then only kept from above.
        body_mask: voxels at or below 0 stay 0, so that background around the body stays flat.

    Raises:
        ConfigError: the pool of kernel sizes is empty or holds an even size.
    """

    probability: float = setting(1.0, low=0.0, high=1.0)
    layers: int = setting(4, low=1, high=16)
    channels: int = setting(2, low=1, high=64)
    kernel_sizes: tuple[int, ...] = setting((1, 3), low=1, high=7)
    per_batch: bool = setting(False)
    slope: float = setting(0.01, low=0.0, high=1.0)
    clip: bool = setting(False)
    body_mask: bool = setting(False)

    def __post_init__(self) -> None:
        if not self.kernel_sizes or any(size % 2 == 0 for size in self.kernel_sizes):
            raise ConfigError(
                f"'kernel_sizes' is {list(self.kernel_sizes)}; it must list odd sizes, e.g. [1, 3]"
            )


@dataclass(frozen=True)
class GeometricSettings:
    """What is drawn, per sample.

    Args:
        probability: chance of rotation, scaling, shear and translation (drawn together).
        rotation_degrees: angle about each axis, uniform in plus or minus this.
        scale_low: smallest magnification, the same along all axes.
        scale_high: largest magnification.
        shear: off-diagonal elements of the shear, uniform in plus or minus this, in mm per mm.
        translation: shift along each axis, uniform in plus or minus this share of the extent.
        elastic_probability: chance of the elastic deformation.
        elastic_grid: control points along each axis.
        elastic_strength: standard deviation of the control points' displacement, as a share of the
            distance between two of them; the space does not fold well below 0.5.
        flips: axes (0, 1, 2 for X, Y, Z) that are mirrored in half of the samples; none by default,
            since left and right organs are told apart.

    Raises:
        ConfigError: ``scale_low`` is greater than ``scale_high``.
    """

    probability: float = setting(1.0, low=0.0, high=1.0)
    rotation_degrees: float = setting(15.0, low=0.0, high=180.0)
    scale_low: float = setting(0.85, low=0.1, high=10.0)
    scale_high: float = setting(1.2, low=0.1, high=10.0)
    shear: float = setting(0.05, low=0.0, high=0.5)
    translation: float = setting(0.05, low=0.0, high=0.5)
    elastic_probability: float = setting(0.3, low=0.0, high=1.0)
    elastic_grid: int = setting(6, low=2, high=32)
    elastic_strength: float = setting(0.12, low=0.0, high=0.25)
    flips: tuple[int, ...] = setting((), choices=(0, 1, 2))

    def __post_init__(self) -> None:
        if self.scale_low > self.scale_high:
            raise ConfigError(
                f"'scale_low' is {self.scale_low}; it must not exceed 'scale_high' "
                f"({self.scale_high})"
            )


@dataclass(frozen=True)
class ContrastSettings:
    """What is drawn, per sample, after the intensity augmentation.

    Args:
        low: smallest factor of a sample's spread about its mean.
        high: largest factor.
        brightness: shift, uniform in plus or minus this share of the sample's standard deviation.

    Raises:
        ConfigError: ``low`` is greater than ``high``.
    """

    low: float = setting(0.6, low=0.1, high=10.0)
    high: float = setting(1.4, low=0.1, high=10.0)
    brightness: float = setting(0.5, low=0.0, high=5.0)

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"'low' is {self.low}; it must not exceed 'high' ({self.high})")


@dataclass(frozen=True)
class AugmentationSettings:
    """What every intensity augmentation's settings say.

    Args:
        name: a registered intensity augmentation; it may bring a section of its own.
        geometric: used in every arm alike.
        contrast: used in every arm alike.
    """

    name: str = "none"
    geometric: GeometricSettings = setting(GeometricSettings)
    contrast: ContrastSettings = setting(ContrastSettings)


@dataclass(frozen=True)
class GinAugmentation(AugmentationSettings):
    """GIN and what it draws.

    Args:
        name: a registered intensity augmentation; it may bring a section of its own.
        gin: what GIN draws.
        geometric: used in every arm alike.
        contrast: used in every arm alike.
    """

    name: str = "gin"
    gin: GinSettings = setting(GinSettings)
