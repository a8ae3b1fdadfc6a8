"""A glioma of three nested parts: necrotic core, enhancing rim around it, oedema around both."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Ids
from fedvox.phantoms.brain.folds import Waves, draw_waves
from fedvox.phantoms.brain.head import Head
from fedvox.phantoms.brain.tissue import Tissue
from fedvox.phantoms.shapes import Ellipsoid, Points, draw_ellipsoid

FINGERS = 0.16
"""Share by which oedema reaches farther or less far, in waves."""
MARGIN_MM = 3.0
"""Least distance of the core from the surface of the brain."""
CORTEX = 0.45
"""How far oedema spreads in grey matter, as a share of its spread in white matter."""


@dataclass(frozen=True)
class Tumour:
    """All parts follow from one level, 1 at the rim's outside, so they are nested by construction.

    Attributes:
        rim: outside of the enhancing rim.
        necrosis: level of the rim's inside, below 1.
        oedema: mean level of the oedema's outside, above 1.
        fingers: waves in which the oedema spreads.
    """

    rim: Ellipsoid
    necrosis: float
    oedema: float
    fingers: Waves

    def paint(self, tissues: Ids, points: Points) -> None:
        """Paints the tumour over the brain, in place: never over fluid, save with its core.

        Args:
            tissues: ids, shape (N,).
            points: positions in the undeformed head, shape (3, N), mm.
        """
        near = _close(points, self.rim, self.oedema * (1 + FINGERS))
        level = self.rim.level(points[:, near])
        spread = (self.oedema * (1 + FINGERS * self.fingers.at(points[:, near]))) - 1
        grey = tissues[near] == Tissue.GREY
        brain = grey | np.isin(tissues[near], (Tissue.WHITE, Tissue.GLIOSIS))
        spread[grey] *= CORTEX
        for mask, tissue in (
            (brain & (level < 1 + spread), Tissue.OEDEMA),
            (level < 1, Tissue.ENHANCING),
            (level < self.necrosis, Tissue.NECROTIC),
        ):
            tissues[near[mask]] = tissue


def draw_tumour(rng: np.random.Generator, head: Head) -> Tumour:
    """Draws a tumour in one hemisphere: about 25 to 45 mm across, its oedema up to 100 mm.

    Args:
        rng: source of randomness.
        head: the tumour's core lies wholly inside its brain.
    """
    side = rng.choice((-1.0, 1.0))
    centre = (side * rng.uniform(22, 40), rng.uniform(-45, 45), rng.uniform(-6, 34))
    radius = rng.uniform(14, 20)
    rim = draw_ellipsoid(
        rng,
        centre,
        (radius, radius * rng.uniform(0.85, 1.15), radius * rng.uniform(0.85, 1.1)),
        jitter_mm=2.0,
        tilt_degrees=40.0,
        roughness=0.04,
    )
    necrosis, oedema = rng.uniform(0.5, 0.66), rng.uniform(1.6, 2.15)
    return Tumour(_moved_inside(rim, side, head), necrosis, oedema, draw_waves(rng, 5, 14, 30))


def _moved_inside(rim: Ellipsoid, side: float, head: Head) -> Ellipsoid:
    """Moves a rim towards the middle of its hemisphere until it keeps off the surface."""
    middle = np.array([side * 24, 0, 8], np.float32)
    low, high = rim.bounds()
    needed = float((high - low).max()) / 2 + MARGIN_MM
    centre = rim.centre
    while head.depth(centre[:, None])[0] < needed:
        centre = middle + np.float32(0.95) * (centre - middle)
    return replace(rim, centre=centre)


def _close(points: Points, shape: Ellipsoid, factor: float) -> npt.NDArray[np.intp]:
    """Indices of the points in a box around an enlarged shape."""
    low, high = shape.bounds()
    centre, reach = (low + high) / 2, (high - low) / 2 * np.float32(factor)
    return np.flatnonzero((np.abs(points - centre[:, None]) < reach[:, None]).all(axis=0))
