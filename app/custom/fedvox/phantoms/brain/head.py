"""The head around a tumour: scalp, skull, fluid, cortex with sulci, white matter, cerebellum."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.body import Ids
from fedvox.phantoms.brain.folds import Waves, draw_waves
from fedvox.phantoms.brain.tissue import Tissue
from fedvox.phantoms.shapes import (
    Ellipsoid,
    Mask,
    Points,
    Tube,
    draw_ellipsoid,
    draw_tube,
    places_inside,
)

DURA = (70.0, 86.0, 68.0)
"""Semi-axes of the inside of the skull, mm."""
SKULL_MM, SCALP_MM, CORTEX_MM = 7.0, 6.0, 3.5
SULCUS_MM = 24.0
"""How deep the sulci reach."""
TENT = -30.0
"""About where the cerebrum ends, mm; below it lies the cerebellum."""


@dataclass(frozen=True)
class Head:
    """All of a head but its tumour.

    Attributes:
        scale: of the whole head.
        fluid: thickness of the fluid between skull and brain, mm.
        sulci: half width of the sulci, in units of ``folds``.
        folds: zero where a sulcus runs.
        leaves: the same for the cerebellum.
        parts: deep nuclei, ventricles and spots, painted in order.
        cerebellum: its outside.
        brainstem: its outside.
    """

    scale: float
    fluid: float
    sulci: float
    folds: Waves
    leaves: Waves
    parts: tuple[tuple[Tissue, Ellipsoid | Tube], ...]
    cerebellum: Ellipsoid
    brainstem: Tube

    def paint(self, tissues: Ids, points: Points) -> None:
        """Paints over tissue ids, shape (N,), at positions of shape (3, N) in mm."""
        points = points / np.float32(self.scale)
        for reach, tissue in (
            (SKULL_MM + SCALP_MM, Tissue.SCALP),
            (SKULL_MM, Tissue.SKULL),
            (0.0, Tissue.FLUID),
        ):
            tissues[_radius(points, reach) < 1] = tissue
        inside = np.flatnonzero(tissues == Tissue.FLUID)
        tissues[inside] = self._paint_inside(points[:, inside])

    def depth(self, points: Points) -> Points:
        """About how far below the surface of the brain points of shape (3, N) lie, mm."""
        return self.scale * self._depth(points / np.float32(self.scale))

    def _depth(self, points: Points) -> Points:
        return (1 - _radius(points, 0.0)) * np.float32(min(DURA)) - np.float32(self.fluid)

    def _paint_inside(self, points: Points) -> Ids:
        depth = self._depth(points)
        tissues = np.full(len(depth), Tissue.FLUID, np.uint8)
        self._paint_hind(tissues, points, depth > 0)
        upper = np.flatnonzero((depth > 0) & _is_cerebrum(points))
        tissues[upper] = self._cerebrum(points[:, upper], depth[upper])
        for tissue, shape in self.parts:
            found = places_inside(shape, points)
            tissues[found[tissues[found] != Tissue.FLUID]] = tissue
        return tissues

    def _cerebrum(self, points: Points, depth: Points) -> Ids:
        """Cortex along the surface, along sulci and along the gap between the hemispheres."""
        tissues = np.full(len(depth), Tissue.WHITE, np.uint8)
        tissues[depth < CORTEX_MM] = Tissue.GREY
        shallow = np.flatnonzero(depth < SULCUS_MM)
        fade = 1 - depth[shallow] / np.float32(SULCUS_MM)
        field = np.abs(self.folds.at(points[:, shallow]))
        tissues[shallow[field < (self.sulci + 0.2) * np.sqrt(fade)]] = Tissue.GREY
        tissues[shallow[field < self.sulci * fade]] = Tissue.FLUID
        x, y, z = points
        outer = (y / 52) ** 2 + ((z - 6) / 26) ** 2 > 1
        tissues[outer & (np.abs(x) < 1.4 + CORTEX_MM) & (tissues == Tissue.WHITE)] = Tissue.GREY
        tissues[outer & (np.abs(x) < 1.4)] = Tissue.FLUID
        return tissues

    def _paint_hind(self, tissues: Ids, points: Points, inside: Mask) -> None:
        found = places_inside(self.cerebellum, points)
        found = found[inside[found]]
        leaves = np.abs(self.leaves.at(points[:, found]))
        tissues[found] = np.where(leaves < 0.25, Tissue.WHITE, Tissue.GREY)
        found = places_inside(self.brainstem, points)
        tissues[found[inside[found]]] = Tissue.WHITE


def draw_head(rng: np.random.Generator) -> Head:
    """Draws a head; older ones have wider ventricles and sulci and more spots.

    Args:
        rng: source of randomness.
    """
    age = rng.uniform(0, 1)
    stem = np.array([[0.0, -14, -12], [0, -20, -38], [0, -30, -70]])
    return Head(
        scale=rng.uniform(0.94, 1.04),
        fluid=1.5 + 2.0 * age,
        sulci=0.035 + 0.04 * age,
        folds=draw_waves(rng, 6, 20, 38),
        leaves=draw_waves(rng, 5, 9, 16),
        parts=(*_draw_nuclei(rng), *_draw_ventricles(rng, age), *_draw_spots(rng, age)),
        cerebellum=draw_ellipsoid(rng, (0, -46, -44), (48, 30, 21), jitter_mm=2, tilt_degrees=4),
        brainstem=draw_tube(rng, stem, (15, 13, 9), jitter_mm=1.5),
    )


def _draw_nuclei(rng: np.random.Generator) -> list[tuple[Tissue, Ellipsoid | Tube]]:
    shapes = (((10, -12, 4), (8, 13, 9)), ((25, 4, 0), (6, 17, 11)), ((13, 20, 8), (6, 9, 10)))
    return [
        (Tissue.GREY, draw_ellipsoid(rng, (side * x, y, z), axes, jitter_mm=1.0))
        for (x, y, z), axes in shapes
        for side in (-1.0, 1.0)
    ]


def _draw_ventricles(rng: np.random.Generator, age: float) -> list[tuple[Tissue, Ellipsoid | Tube]]:
    wide = 0.75 + 0.6 * age
    parts: list[tuple[Tissue, Ellipsoid | Tube]] = [
        (Tissue.FLUID, draw_ellipsoid(rng, (0, -8, 2), (2.2, 12, 9), jitter_mm=0.7)),
        (Tissue.FLUID, draw_ellipsoid(rng, (0, -38, -38), (5, 5, 7), jitter_mm=1.0)),
    ]
    for side in (-1.0, 1.0):
        knots = np.array([[side * 9, 32, 6], [side * 8, 6, 20], [side * 22, -34, 10]])
        tube = draw_tube(rng, knots, (5 * wide, 6 * wide, 7.5 * wide), jitter_mm=1.5)
        parts.append((Tissue.FLUID, tube))
    return parts


def _draw_spots(rng: np.random.Generator, age: float) -> list[tuple[Tissue, Ellipsoid | Tube]]:
    """Spots of gliosis beside the ventricles: bright in FLAIR as oedema is, and no tumour."""
    spots: list[tuple[Tissue, Ellipsoid | Tube]] = []
    for _ in range(int(rng.integers(0, 3 + int(5 * age)))):
        side, size = rng.choice((-1.0, 1.0)), rng.uniform(2.0, 4.0)
        centre = (side * rng.uniform(18, 32), rng.uniform(-40, 36), rng.uniform(14, 30))
        spots.append((Tissue.GLIOSIS, draw_ellipsoid(rng, centre, (size, size * 1.4, size))))
    return spots


def _radius(points: Points, beyond: float) -> npt.NDArray[np.float32]:
    """Distance from the middle, 1 on the inside of the skull plus ``beyond`` mm, narrower ahead."""
    x, y, z = points
    width, length, height = (np.float32(axis + beyond) for axis in DURA)
    taper = 1 - np.float32(0.1) * y / length
    return np.sqrt((x / (width * taper)) ** 2 + (y / length) ** 2 + (z / height) ** 2)


def _is_cerebrum(points: Points) -> Mask:
    """Above the tent of the cerebellum behind, above the floor of the temporal lobes ahead."""
    x, y, z = points
    behind = 1 / (1 + np.exp((y + 14) / np.float32(5)))
    return z > TENT - 8 + 14 * behind - np.float32(0.15) * np.abs(x)
