"""A patient on a grid: which tissue lies at each voxel's centre."""

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Ids, Patient
from fedvox.phantoms.shapes import Points


def tissue_volume(
    patient: Patient, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]
) -> Ids:
    """Evaluates a patient at the voxel centres of a grid.

    Args:
        patient: from a body's ``draw``.
        shape: (X, Y, Z) of the array, in any orientation.
        affine: voxel index to world mm (RAS), shape (4, 4).

    Returns:
        Tissue ids of the body, shape (X, Y, Z).
    """
    return patient.paint(_voxel_centres(shape, affine)).reshape(shape)


def _voxel_centres(shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> Points:
    steps = [np.arange(length, dtype=np.float64) for length in shape]
    world = np.empty((3, *shape), np.float32)
    for row in range(3):
        x, y, z = (affine[row, axis] * steps[axis] for axis in range(3))
        plane = x[:, None] + y[None, :] + affine[row, 3]
        world[row] = plane[:, :, None] + z
    return world.reshape(3, -1)
