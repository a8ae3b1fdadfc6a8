"""HD95, and its conventions by name: how the two directions of a distance become one number."""

import warnings
from collections.abc import Callable

import numpy as np

from fedvox.metrics.metric import Masks
from fedvox.registry import Registry

Convention = Callable[[np.ndarray, np.ndarray], float]
"""Distances prediction -> reference and reference -> prediction, in mm, to one HD95 in mm."""

HD95: Registry[Convention] = Registry("convention of HD95")

MAX_DIRECTED = "max_directed"
BOTH_DIRECTIONS = "both_directions"

TITLES = {
    MAX_DIRECTED: "the larger of the two directed 95th percentiles of the surface distance",
    BOTH_DIRECTIONS: "the 95th percentile of the surface distances of both directions together",
}
"""What a report says of each convention."""


def hausdorff_95(masks: Masks) -> float:
    """95th percentile of the distance between the two surfaces.

    Raises:
        ConfigError: there is no such convention.
    """
    from monai.metrics.utils import get_edge_surface_distance  # here: MONAI takes seconds to load

    # MONAI calls its own function in a way that it will drop itself; users can do nothing about it.
    warnings.filterwarnings("ignore", r".*get_mask_edges:always_return_as_numpy", FutureWarning)
    ours, theirs = masks.tensors
    _, (forth, back), _ = get_edge_surface_distance(
        ours[0, 0], theirs[0, 0], spacing=masks.spacing, symmetric=True
    )
    return HD95[masks.hd95](forth.numpy(), back.numpy())


@HD95.register(MAX_DIRECTED)
def max_directed(forth: np.ndarray, back: np.ndarray) -> float:
    """The larger of the two directed 95th percentiles, as MONAI and DeepMind's tool have it.

    ``max(P95(forth), P95(back))``. It is never below :func:`both_directions`.

    Args:
        forth: distance of each surface voxel of the prediction to the reference's surface, mm.
        back: the same from the reference to the prediction.

    Example:
        >>> forth, back = np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 10.0])
        >>> round(max_directed(forth, back), 2), round(both_directions(forth, back), 2)
        (9.0, 7.5)
    """
    return max(_percentile(forth), _percentile(back))


@HD95.register(BOTH_DIRECTIONS)
def both_directions(forth: np.ndarray, back: np.ndarray) -> float:
    """The 95th percentile of both directions' distances together, as MedPy has it.

    Args:
        forth: as for :func:`max_directed`.
        back: as for :func:`max_directed`.
    """
    return _percentile(np.concatenate([forth, back]))


def _percentile(distances: np.ndarray) -> float:
    return float(np.percentile(distances.astype(np.float64), 95))
