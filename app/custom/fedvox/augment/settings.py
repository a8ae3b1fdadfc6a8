"""The ``augment`` section of a training configuration."""

from dataclasses import dataclass

from fedvox.augment.geometric import GeometricSettings
from fedvox.augment.gin import GinSettings
from fedvox.config import setting


@dataclass(frozen=True)
class AugmentationSettings:
    """Which intensity augmentation is used, and the ranges of all of them.

    Args:
        name: a name of the registry :data:`fedvox.augment.INTENSITY`.
        gin: used when ``name`` is ``"gin"``.
        geometric: used in every arm alike.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """

    name: str = setting("gin")
    gin: GinSettings = setting(GinSettings)
    geometric: GeometricSettings = setting(GeometricSettings)

    def __post_init__(self) -> None:
        # the registry's builders take these settings, so it can only be imported afterwards
        from fedvox.augment import INTENSITY

        INTENSITY[self.name]
