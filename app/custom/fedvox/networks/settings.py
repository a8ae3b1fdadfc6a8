"""What every network's settings say, as plain numbers."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What a job fixes of its network's input and output.

    Attributes:
        in_channels: images of a case, one channel each.
        classes: organs plus background.
        patch: edges of training patches and sliding windows in voxels.
        channels: modality of each input channel; empty where each case is one image.
        held: modalities whose own parts are built, of a network that has such.
    """

    in_channels: int
    classes: int
    patch: tuple[int, int, int]
    channels: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()


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

    @property
    def width(self) -> str:
        """The key, in words, that makes the network smaller."""
        return "'network.channels'"

    @property
    def packages(self) -> tuple[str, ...]:
        """What must be installed beside MONAI to build the network."""
        return ()

    @property
    def norm_remedy(self) -> str:
        """What to change so that normalisation layers hold tensors; empty where they do."""
        return ""

    @property
    def needs_channels(self) -> bool:
        """Whether it takes one image per modality only."""
        return False

    @property
    def has_memory(self) -> bool:
        """Whether sites tell prototypes of their cases beside the weights."""
        return False

    def modality_of(self, tensor: str) -> str | None:
        """The modality that a tensor belongs to alone: its mean is over that modality's cases.

        Args:
            tensor: its name in the network's state.
        """
        return None

    def of_server(self, tensor: str) -> bool:
        """Whether the server alone writes a tensor; what sites send of it counts for nothing.

        Args:
            tensor: its name in the network's state.
        """
        return False

    def owned(self, tensor: str, modalities: Collection[str]) -> bool:
        """Whether a site has a tensor: not one that belongs to a modality which it lacks.

        Args:
            tensor: its name in the network's state.
            modalities: single modalities among the site's cases.
        """
        modality = self.modality_of(tensor)
        return modality is None or modality in modalities
