"""What a sampler may be told; nothing here needs PyTorch."""

from dataclasses import dataclass

from fedvox.config import setting


@dataclass(frozen=True)
class SamplerSettings:
    """What every sampler's settings say.

    Attributes:
        name: a registered sampler, which says where in a case a training patch lies; it decides
            which further keys there are. `"sampler": "foreground"` is short for a section with
            nothing but its name.
    """

    name: str = "foreground"


@dataclass(frozen=True)
class ForegroundSettings(SamplerSettings):
    """A share of patches centred on organs.

    Attributes:
        name: a registered sampler, which says where in a case a training patch lies; it decides
            which further keys there are. `"sampler": "foreground"` is short for a section with
            nothing but its name.
        share: of `foreground`: share of patches centred on a random organ voxel, the others lie
            anywhere.
    """

    share: float = setting(0.67, low=0.0, high=1.0)
