"""The chest around the heart: fat, muscle, ribs, spine, lungs, and the dome of the liver."""

from dataclasses import dataclass

import numpy as np

from fedvox.phantoms.body import Ids
from fedvox.phantoms.heart.tissue import Tissue
from fedvox.phantoms.shapes import (
    Ellipsoid,
    Mask,
    Points,
    Tube,
    draw_ellipsoid,
    draw_tube,
    places_inside,
    ribs,
)

_MIDDLE = 22.0
"""Half width of what lies between the lungs, mm."""


@dataclass(frozen=True)
class Chest:
    """All but the heart.

    Attributes:
        cavity: half width and half depth, mm.
        wall: thickness of the muscles and ribs, mm.
        fat: thickness of the fat below the skin, mm.
        rib_phase: where the ribs lie along z, rad.
        pericardium: the fat around the heart.
        liver: its dome.
        vessels: descending aorta and the two venae cavae.
    """

    cavity: tuple[float, float]
    wall: float
    fat: float
    rib_phase: float
    pericardium: Ellipsoid
    liver: Ellipsoid
    vessels: tuple[tuple[Tissue, Tube], ...]

    def paint(self, tissues: Ids, points: Points) -> None:
        """Paints over tissue ids, shape (N,), at positions of shape (3, N), mm."""
        x, y, z = points
        width, depth = self.cavity
        skin = self.wall + self.fat
        tissues[_oval(x, y, width + skin, depth + skin)] = Tissue.FAT
        muscle = _oval(x, y, width + self.wall, depth + self.wall)
        tissues[muscle] = Tissue.MUSCLE
        cavity = _oval(x, y, width, depth)
        tissues[muscle & ~cavity & ribs(y, z, self.rib_phase)] = Tissue.BONE
        tissues[cavity] = np.where(np.abs(x[cavity]) < _MIDDLE, Tissue.FAT, Tissue.LUNG)
        tissues[places_inside(self.pericardium, points)] = Tissue.FAT
        solids: list[tuple[Tissue, Ellipsoid | Tube]] = [(Tissue.LIVER, self.liver), *self.vessels]
        for tissue, shape in solids:
            found = places_inside(shape, points)
            tissues[found[cavity[found]]] = tissue
        tissues[(x / 19) ** 2 + ((y + depth - 12) / 16) ** 2 < 1] = Tissue.BONE


def draw_chest(rng: np.random.Generator) -> Chest:
    """Draws a chest from ``rng``; about 270 mm wide and 210 mm deep."""
    depth = 80 * rng.uniform(0.95, 1.05)
    aorta = np.array([[-24, -46, 140], [-24, -48, 0], [-18, -46, -140]])
    upper = np.array([[28, 4, 140], [28, 2, 90], [30, 2, 34]])
    lower = np.array([[30, -4, -10], [26, -12, -60], [22, -18, -140]])
    return Chest(
        cavity=(112 * rng.uniform(0.95, 1.05), depth),
        wall=rng.uniform(8, 12),
        fat=rng.uniform(5, 15),
        rib_phase=rng.uniform(0, 2 * np.pi),
        pericardium=draw_ellipsoid(rng, (-6, 6, 0), (66, 54, 62), jitter_mm=3),
        liver=draw_ellipsoid(rng, (40, 4, -104), (74, 66, 46), jitter_mm=5),
        vessels=(
            (Tissue.DESCENDING_AORTA, draw_tube(rng, aorta, (12, 11, 11), 2, balls=60)),
            (Tissue.VEIN, draw_tube(rng, upper, (10, 10, 11), 2)),
            (Tissue.VEIN, draw_tube(rng, lower, (12, 12, 12), 2, balls=40)),
        ),
    )


def _oval(x: Points, y: Points, width: float, depth: float) -> Mask:
    return (x / np.float32(width)) ** 2 + (y / np.float32(depth)) ** 2 < 1
