"""Which network a job trains, as plain numbers."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class NetworkSettings:
    """Architecture of the segmentation network.

    Attributes:
        name: a registered builder.
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
