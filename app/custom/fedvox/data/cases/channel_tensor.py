"""The images of a case become the tensor that the network sees, on the job's grid.

Written once: preparing a case, prediction and a bundle's preprocessing call it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from fedvox.data.grid.to_grid import Geometry, geometry_of, prepare_image
from fedvox.data.images.nifti import Volume, without_voxels
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError


@dataclass(frozen=True)
class Channels:
    """The images of a case on the job's grid.

    Attributes:
        image: float32 ``(C, X, Y, Z)`` in [0, 1], 0 where a channel is missing.
        present: per channel, whether the case has it.
        geometry: the way back to the stored grid.
        grid: the stored grid and its header, without voxels.
    """

    image: torch.Tensor
    present: tuple[bool, ...]
    geometry: Geometry
    grid: Volume


def to_channels(volumes: Iterable[tuple[str, Volume]], settings: DataSettings) -> Channels:
    """Brings the images of a case to the job's grid, one after the other.

    No volume stays in memory: a large CT takes 0.6 GB as float32.

    Args:
        volumes: modality and image, in any order, all on one grid; see
            :func:`fedvox.data.cases.channels.checked_volumes`.
        settings: the job's channels, grid and windows.

    Raises:
        DataError: there is none.
    """
    found: dict[str, torch.Tensor] = {}
    grid = None
    for modality, volume in volumes:
        grid = grid or without_voxels(volume)
        geometry = geometry_of(grid, settings.spacing)
        found[modality] = prepare_image(volume, modality, geometry, settings)
        del volume
    if grid is None:
        raise DataError("the case has no image; name one per case")
    order = settings.channels or tuple(found)
    empty = torch.zeros(geometry.grid_shape)
    image = torch.stack([found.get(name, empty) for name in order])
    return Channels(image, tuple(name in found for name in order), geometry, grid)
