"""What every network's settings say, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSettings:
    """Architecture of the segmentation network.

    Attributes:
        name: a registered network; it decides which further keys there are.
    """

    name: str

    @property
    def patch_multiple(self) -> int:
        """What each edge of a patch must be a multiple of, in voxels."""
        return 1

    @property
    def levels(self) -> str:
        """The key, in words, that :attr:`patch_multiple` follows from."""
        return f"network '{self.name}'"
