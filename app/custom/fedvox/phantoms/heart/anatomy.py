"""Random hearts in world millimetres: which tissue lies at a point.

World axes are NIfTI's: +x is the patient's right, +y anterior, +z superior. The left ventricle
points left, forward and down; the right one lies in front of it, the left atrium behind.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Ids
from fedvox.phantoms.heart.chest import draw_chest
from fedvox.phantoms.heart.tissue import Tissue
from fedvox.phantoms.layered import LayeredPatient
from fedvox.phantoms.shapes import (
    Ellipsoid,
    Points,
    Tube,
    draw_ellipsoid,
    draw_tube,
    draw_warp,
    places_inside,
    rotation,
)
from fedvox.seeding import derive_seed

_TO_APEX = np.array([-0.62, 0.55, -0.56])
_TO_RIGHT_VENTRICLE = np.array([0.70, 0.70, -0.10])
_LEFT = np.array([-28.0, 5.0, -8.0])
"""Centre of the left ventricle, mm."""


@dataclass(frozen=True)
class Heart:
    """Chambers and great vessels; painted in order, later over earlier.

    Attributes:
        parts: thin-walled chambers and vessels, each with its tissue.
        muscle: surface of the left ventricle's wall.
        cavity: of the left ventricle.
        base: the wall and its cavity end at this distance from the middle of the cavity, towards
            the atria, mm.
        vessels: aorta and pulmonary artery.
    """

    parts: tuple[tuple[Tissue, Ellipsoid], ...]
    muscle: Ellipsoid
    cavity: Ellipsoid
    base: float
    vessels: tuple[tuple[Tissue, Tube], ...]

    def paint(self, tissues: Ids, points: Points) -> None:
        """Paints over tissue ids, shape (N,), at positions of shape (3, N), mm."""
        for _, shape in self.parts:
            wall = replace(shape, axes=shape.axes + np.float32(3))
            tissues[places_inside(wall, points)] = Tissue.THIN_WALL
        for tissue, shape in self.parts:
            tissues[places_inside(shape, points)] = tissue
        for tissue, shape in (
            (Tissue.MYOCARDIUM, self.muscle),
            (Tissue.LEFT_VENTRICLE, self.cavity),
        ):
            found = places_inside(shape, points)
            along = shape.rotation[2] @ (points[:, found] - self.cavity.centre[:, None])
            tissues[found[along > -self.base]] = tissue
        for tissue, tube in self.vessels:
            tissues[places_inside(tube, points)] = tissue


def draw_patient(seed: int) -> LayeredPatient:
    """Draws one patient: a chest, and a heart over it.

    Args:
        seed: the patient; equal seeds give equal patients.
    """
    rng = np.random.default_rng(derive_seed(seed, "phantom-heart"))
    return LayeredPatient((draw_chest(rng), draw_heart(rng)), draw_warp(rng, shift_mm=1.5))


def draw_heart(rng: np.random.Generator) -> Heart:
    """Draws chambers and vessels from ``rng``."""
    frame = _frame(rng)
    centre = _LEFT + rng.uniform(-4, 4, 3)
    width, length, wall = rng.uniform(19, 25), rng.uniform(34, 42), rng.uniform(9, 13)
    cavity = _solid(rng, centre, (width, width, length), frame)
    muscle = replace(cavity, axes=cavity.axes + np.float32(wall))
    right = _solid(rng, centre + 33 * frame[0], (27, 35, 40), frame)
    aorta = np.array([[-2, -4, 16], [5, 4, 45], [6, -4, 78]])
    pulmonary = np.array([[-10, 28, 20], [-16, 16, 42], [-16, -6, 58]])
    return Heart(
        parts=(
            (Tissue.RIGHT_ATRIUM, draw_ellipsoid(rng, (36, 4, 8), (22, 26, 29), jitter_mm=2)),
            (Tissue.LEFT_ATRIUM, draw_ellipsoid(rng, (2, -26, 24), (30, 19, 24), jitter_mm=2)),
            (Tissue.RIGHT_VENTRICLE, right),
        ),
        muscle=muscle,
        cavity=cavity,
        base=float(0.75 * length),
        vessels=(
            (Tissue.ASCENDING_AORTA, draw_tube(rng, aorta, (14, 14, 13), jitter_mm=1.5)),
            (Tissue.PULMONARY_ARTERY, draw_tube(rng, pulmonary, (13, 12, 11), jitter_mm=1.5)),
        ),
    )


def _frame(rng: np.random.Generator) -> Points:
    """Rows: to the right ventricle, across, to the apex; turned a little in each patient."""
    apex = _TO_APEX / np.linalg.norm(_TO_APEX)
    side = _TO_RIGHT_VENTRICLE - (_TO_RIGHT_VENTRICLE @ apex) * apex
    side /= np.linalg.norm(side)
    angles = np.clip(rng.normal(scale=6.0, size=3), -12, 12)
    turned = np.stack([side, np.cross(apex, side), apex]) @ rotation(
        (angles[0], angles[1], angles[2])
    )
    return turned.astype(np.float32)


def _solid(
    rng: np.random.Generator,
    centre: npt.NDArray[np.float64],
    axes: tuple[float, float, float],
    frame: Points,
) -> Ellipsoid:
    """An ellipsoid along the heart's own axes, a little rough."""
    x, y, z = (float(value) for value in centre)
    return replace(
        draw_ellipsoid(rng, (x, y, z), axes, jitter_mm=0, roughness=0.02), rotation=frame
    )
