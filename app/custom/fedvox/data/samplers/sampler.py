"""What a sampler is: where in a case the next training patch lies."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    import torch


class Places(Protocol):
    """What a sampler sees of a case."""

    @property
    def counts(self) -> Sequence[int]:
        """Voxels of each organ of the job on the job's grid."""

    def tensor(self, name: str) -> "torch.Tensor":
        """``places.K``: drawn voxels of organ K, ``(N, 3)``; ``label``: the label map."""


Sampler: TypeAlias = "Callable[[Places, torch.Generator], tuple[int, int, int] | None]"
"""``(case, generator) -> voxel on the job's grid that a patch is centred on``, or None for a patch
that lies anywhere, drawn evenly."""
