"""Large volumes in pieces, so that a check of 512 x 512 x 600 voxels needs no second copy."""

from collections.abc import Iterator

import numpy as np

VOXELS = 4_000_000


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Ranges of the last axis that hold about four million voxels each.

    NIfTI stores the last axis slowest, so each range is one stretch of memory.

    Args:
        shape: ``(X, Y, Z)``.
    """
    thickness = max(1, VOXELS // (shape[0] * shape[1]))
    for start in range(0, shape[2], thickness):
        yield slice(start, start + thickness)


def thinned(shape: tuple[int, ...], voxels: int) -> tuple[slice, ...]:
    """Slices that leave about so many voxels, evenly spread along all axes."""
    step = 1
    while np.prod([-(-length // step) for length in shape]) > voxels:
        step += 1
    return (slice(None, None, step),) * len(shape)
