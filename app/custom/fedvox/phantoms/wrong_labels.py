"""Labels as careless hands leave them: whole label maps of known values, at the wrong places.

Each is still a label map that every reader takes; nothing in its form gives it away.
"""

from collections.abc import Callable, Mapping

import numpy as np

from fedvox.phantoms.body import Body, Ids
from fedvox.phantoms.grid import Grid
from fedvox.phantoms.volume import tissue_volume
from fedvox.seeding import derive_seed

SHIFT_MM = (20.0, 30.0)


def wrong_label(kind: str, labels: Ids, body: Body, grid: Grid, seed: int) -> Ids:
    """Spoils a label map.

    Args:
        kind: one of :data:`fedvox.phantoms.quality.WRONG_KINDS`.
        labels: the right one, shape ``grid.shape``.
        body: what was drawn.
        grid: where the voxels lie.
        seed: the patient; equal seeds spoil alike.

    Returns:
        A new map of that shape, with values of the body's organs.
    """
    return _SPOILERS[kind](labels, body, grid, seed)


def _shifted(labels: Ids, body: Body, grid: Grid, seed: int) -> Ids:
    """Moved by 20 to 30 mm in any direction, and by one voxel at least."""
    from scipy import ndimage

    rng = np.random.default_rng(derive_seed(seed, "phantom-shift"))
    direction = rng.normal(size=3)
    move = direction / np.linalg.norm(direction) * rng.uniform(*SHIFT_MM)
    voxels = np.linalg.solve(grid.affine[:3, :3], move)
    longest = np.abs(voxels).max()
    steps = np.rint(voxels / min(longest, 1.0))
    moved: Ids = ndimage.shift(labels, steps, order=0, mode="constant", cval=0)
    return moved


def _other_patient(labels: Ids, body: Body, grid: Grid, seed: int) -> Ids:
    """That of another patient who lies in the same scanner."""
    other = body.draw(derive_seed(seed, "phantom-other-patient"))
    return body.labels(tissue_volume(other, grid.shape, grid.affine))


def _swapped(labels: Ids, body: Body, grid: Grid, seed: int) -> Ids:
    """Each organ called by the next one's name, as with a wrong label table."""
    return np.where(labels > 0, labels % len(body.organs) + 1, 0).astype(np.uint8)


def _missing(labels: Ids, body: Body, grid: Grid, seed: int) -> Ids:
    """Nothing labelled: a segmentation that got lost."""
    return np.zeros_like(labels)


_SPOILERS: Mapping[str, Callable[[Ids, Body, Grid, int], Ids]] = {
    "shifted": _shifted,
    "other_patient": _other_patient,
    "swapped": _swapped,
    "missing": _missing,
}
