"""Resampling of one structure, as far as it reaches, bit by bit as if the volume were resampled.

An organ fills little of a scan, and where none of its voxels is near, its resampled indicator is 0.
PyTorch's kernel works out places from the size of a voxel and counts them from voxel 0, so a volume
that is cut short at its far ends gives the same numbers for the planes that are left. Cutting the
near ends would round places otherwise, so they stay.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from fedvox.data.grid.coarser import average
from fedvox.data.grid.planes import SMALL_OUTPUT, kernel_ratio

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Corner:
    """The part of a volume, from voxel 0 on, that a structure needs.

    Attributes:
        stored: edges in voxels of the volume that is resampled.
        grid: edges in voxels of the result; beyond them the structure's share is 0.
        ratios: input voxels per output voxel along each axis.
    """

    stored: Shape
    grid: Shape
    ratios: tuple[float, float, float]

    def resample(self, mask: torch.Tensor) -> torch.Tensor:
        """Share of the structure in each voxel of the corner.

        Args:
            mask: bool, of the shape ``stored``.

        Returns:
            float32 of the shape ``grid``.
        """
        inner = [
            grid if ratio > 1 else stored
            for stored, grid, ratio in zip(self.stored, self.grid, self.ratios)
        ]
        averaged = average(mask.float(), inner, self.ratios)
        factors = [1 / min(ratio, 1.0) for ratio in self.ratios]
        volume = averaged[None, None]
        share = torch.ops.aten.upsample_trilinear3d(volume, self.grid, False, *factors)
        return torch.as_tensor(share)[0, 0]


def corner_of(mask: np.ndarray, stored: Shape, grid: Shape) -> Corner | None:
    """The corner that holds a structure.

    Args:
        mask: bool, the structure in the whole volume or in a part of it that begins at voxel 0.
        stored: edges of the whole volume in voxels.
        grid: edges of the whole result in voxels.

    Returns:
        None when the mask is empty.
    """
    plane = np.any(mask, axis=0)
    if not plane.any():
        return None
    lines = np.any(mask, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0)
    last = [int(np.flatnonzero(line)[-1]) for line in lines]
    reached = [_reached(*axis) for axis in zip(last, stored, grid)]
    for axis in range(3):
        # A small result comes from another kernel, which rounds otherwise.
        missing = SMALL_OUTPUT + 1 - sum(reached) if sum(grid) > SMALL_OUTPUT else 0
        reached[axis] = min(grid[axis], reached[axis] + max(0, missing))
    ends = [_ends(*axis) for axis in zip(reached, stored, grid)]
    ratios = [
        count / wanted if count > wanted else kernel_ratio(count, wanted)
        for count, wanted in zip(stored, grid)
    ]
    (a, x), (b, y), (c, z) = ends
    return Corner((a, b, c), (x, y, z), (ratios[0], ratios[1], ratios[2]))


def _reached(last: int, count: int, wanted: int) -> int:
    """How many of ``wanted`` resampled voxels reach back to ``last`` of ``count`` stored ones."""
    return min(wanted, math.ceil((last + 1.5) * wanted / count) + 1)


def _ends(reached: int, count: int, wanted: int) -> tuple[int, int]:
    """Where to cut an axis and its resampled form, of which ``reached`` voxels are wanted."""
    needed = min(count, math.ceil((reached + 0.5) * count / wanted) + 2)
    if needed == reached and count != wanted:  # equal edges are copied, whatever the ratio
        return (needed + 1, reached) if needed < count else (needed, reached + 1)
    return needed, reached
