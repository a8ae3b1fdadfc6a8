"""What a sampler may be told; nothing here needs PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerSettings:
    """What every sampler's settings say.

    Attributes:
        name: a registered sampler, which says where in a case a training patch lies; it decides
            which further keys there are. `"sampler": "foreground"` is short for a section with
            nothing but its name.
    """

    name: str = "foreground"
