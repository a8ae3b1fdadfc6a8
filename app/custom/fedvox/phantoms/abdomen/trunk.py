"""The body around the organs: fat, muscle wall, ribs, spine, lungs, and the table."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.abdomen.tissue import Tissue
from fedvox.phantoms.shapes import Mask, Points, ribs


@dataclass(frozen=True)
class Trunk:
    """The body around the organs.

    Attributes:
        cavity: half width and half depth of the abdominal cavity, mm.
        wall: thickness of the muscle wall, mm.
        fat: thickness of the subcutaneous fat, mm.
        rib_phase: where the ribs lie along z, rad.
        disc_phase: where the discs of the spine lie along z, rad.
        domes: height of the right and of the left dome of the diaphragm, mm.
        couch: y of the top of the table, mm.
    """

    cavity: tuple[float, float]
    wall: float
    fat: float
    rib_phase: float
    disc_phase: float
    domes: tuple[float, float]
    couch: float


def draw_trunk(rng: np.random.Generator) -> Trunk:
    """Draws a trunk from ``rng``; about 270 mm wide and 200 mm deep."""
    fat, wall = rng.uniform(6, 18), rng.uniform(8, 12)
    depth = 75 * rng.uniform(0.95, 1.08)
    return Trunk(
        cavity=(104 * rng.uniform(0.95, 1.05), depth),
        wall=wall,
        fat=fat,
        rib_phase=rng.uniform(0, 2 * np.pi),
        disc_phase=rng.uniform(0, 2 * np.pi),
        domes=(108 + rng.uniform(-8, 8), 98 + rng.uniform(-8, 8)),
        couch=-(depth + wall + fat) - 3.0,
    )


def paint_trunk(trunk: Trunk, points: Points) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """Paints all that is not an organ.

    Args:
        trunk: the body.
        points: positions in the undeformed body, shape (3, N), mm.

    Returns:
        Tissue ids, shape (N,), and the indices of the points where organs may lie.
    """
    x, y, z = points
    width, depth = trunk.cavity
    muscle = _inside_oval(x, y, width + trunk.wall, depth + trunk.wall)
    cavity = _inside_oval(x, y, width, depth)
    skin = trunk.wall + trunk.fat
    tissues = np.zeros(x.shape, np.uint8)
    tissues[_inside_oval(x, y, width + skin, depth + skin)] = Tissue.FAT
    tissues[muscle] = Tissue.MUSCLE
    tissues[cavity] = Tissue.FAT
    wall = np.flatnonzero(muscle & ~cavity & (z > -25))
    tissues[wall[ribs(y[wall], z[wall], trunk.rib_phase)]] = Tissue.BONE
    lungs = np.flatnonzero(cavity & (z > 20))
    right, left = (
        height - np.float32(0.011) * ((x[lungs] - centre) ** 2 + y[lungs] ** 2)
        for height, centre in zip(trunk.domes, (52, -52), strict=True)
    )
    tissues[lungs[z[lungs] > np.maximum(right, left)]] = Tissue.LUNG
    _paint_spine(tissues, trunk, points)
    return tissues, np.flatnonzero(_inside_oval(x, y, width - 2.5, depth - 2.5))


def _inside_oval(x: Points, y: Points, width: float, depth: float) -> Mask:
    u, v = (x / np.float32(width)) ** 2, (y / np.float32(depth)) ** 2
    # The mixed term squares the ellipse off a little, as bodies are.
    return u + v - np.float32(0.3) * u * v < 1


def _paint_spine(tissues: npt.NDArray[np.uint8], trunk: Trunk, points: Points) -> None:
    near = np.flatnonzero((np.abs(points[0]) < 52) & (points[1] < -34) & (tissues != Tissue.AIR))
    x, y, z = points[:, near]
    step = np.cos(z * np.float32(2 * np.pi / 34) + trunk.disc_phase)
    back = ((np.abs(x) - 25) / 23) ** 2 + ((y + 80) / 17) ** 2 < 1
    body = (x / 21) ** 2 + ((y + 53) / 17) ** 2 < 1
    process = (np.abs(x) < 5) & (y < -76) & (y > -98) & (step > -0.3)
    wings = (np.abs(y + 73) < 5) & (np.abs(x) < 30) & (step > 0.5)
    canal = x**2 + (y + 76) ** 2 < 8**2
    ring = x**2 + (y + 76) ** 2 < 13**2
    for mask, tissue in (
        (back, Tissue.MUSCLE),
        (process | wings | ring, Tissue.BONE),
        (body, Tissue.BONE),
        (body & (step < -0.85), Tissue.MUSCLE),
        (canal, Tissue.SPINAL_FLUID),
    ):
        tissues[near[mask]] = tissue


def paint_couch(tissues: npt.NDArray[np.uint8], trunk: Trunk, world: Points) -> None:
    """Puts a table under the body, in place.

    Args:
        tissues: tissue ids, shape (N,).
        trunk: the body.
        world: positions that no warp has moved, shape (3, N), mm.
    """
    x, y, _ = world
    top = trunk.couch - 8 + (x / 60) ** 2 * 2
    couch = (y < top) & (y > top - 12) & (np.abs(x) < 125) & (tissues == Tissue.AIR)
    tissues[couch] = Tissue.COUCH
