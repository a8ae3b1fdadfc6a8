"""Random abdomens in world millimetres: which tissue lies at a point.

World axes are NIfTI's: +x is the patient's right as in RAS, +y anterior, +z superior. Drawing the
parameters (:func:`draw_anatomy`) is separate from evaluating them (:meth:`Anatomy.paint`), so that
one patient can be scanned on any grid. Phantoms are a test instrument, not evidence about patients.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedvox.phantoms.abdomen.tissue import Tissue
from fedvox.phantoms.abdomen.trunk import Trunk, draw_trunk, paint_couch, paint_trunk
from fedvox.phantoms.shapes import (
    Ellipsoid,
    Points,
    Tube,
    Warp,
    draw_ellipsoid,
    draw_tube,
    draw_warp,
    places_inside,
)
from fedvox.seeding import derive_seed


@dataclass(frozen=True)
class Solid:
    """One shape of one tissue; ``gas_above`` (mm on y) fills what lies in front of it with gas."""

    tissue: Tissue
    shape: Ellipsoid | Tube
    gas_above: float | None = None


@dataclass(frozen=True)
class Anatomy:
    """All parameters of one phantom patient; ``solids`` are painted in order, later over earlier.

    Attributes:
        trunk: body wall, spine, lungs, table.
        solids: bowel, muscles, vessels and organs.
        warp: smooth displacement from world space into the undeformed body.
    """

    trunk: Trunk
    solids: tuple[Solid, ...]
    warp: Warp

    def paint(self, world: Points) -> npt.NDArray[np.uint8]:
        """:class:`Tissue` ids, shape (N,), at positions of shape (3, N) in world mm."""
        body = self.warp.apply(world)
        tissues, cavity = paint_trunk(self.trunk, body)
        inner, inner_points = tissues[cavity], body[:, cavity]
        for solid in self.solids:
            _paint_solid(inner, solid, inner_points)
        tissues[cavity] = inner
        paint_couch(tissues, self.trunk, world)
        return tissues


def draw_anatomy(seed: int) -> Anatomy:
    """Draws one patient.

    Args:
        seed: the patient; equal seeds give equal patients.
    """
    rng = np.random.default_rng(derive_seed(seed, "phantom-anatomy"))
    trunk = draw_trunk(rng)
    solids = (*_draw_bowel(rng), *_draw_muscles(rng), *_draw_organs(rng), *_draw_vessels(rng))
    # The pancreas crosses in front of the vessels, and the gallbladder dents the liver.
    return Anatomy(trunk, (*solids, *_draw_small_organs(rng)), draw_warp(rng))


def _draw_bowel(rng: np.random.Generator) -> list[Solid]:
    stomach = draw_ellipsoid(rng, (-42, 20, 48), (34, 26, 34), jitter_mm=7, roughness=0.05)
    solids = [_gassy(rng, stomach)]
    for side in (-1.0, 1.0):
        knots = np.array([[side * 84, 0, -135], [side * 86, 2, -90], [side * 82, 5, -45]])
        colon = draw_tube(rng, knots, (15, 17, 15), jitter_mm=5)
        solids.append(Solid(Tissue.BOWEL, colon, rng.uniform(5, 18)))
    for _ in range(int(rng.integers(24, 32))):
        centre = (rng.uniform(-66, 66), rng.uniform(-8, 56), rng.uniform(-145, 5))
        axes = (rng.uniform(13, 28), rng.uniform(11, 17), rng.uniform(11, 18))
        loop = draw_ellipsoid(rng, centre, axes, tilt_degrees=35, roughness=0.05)
        wall = Ellipsoid(loop.centre, loop.axes + np.float32(3), loop.rotation, loop.waves)
        solids += [Solid(Tissue.MUSCLE, wall), _gassy(rng, loop)]
    return solids


def _gassy(rng: np.random.Generator, shape: Ellipsoid) -> Solid:
    # Gas rises to the front of a patient who lies on the back.
    level = float(shape.centre[1] + shape.axes[1] * rng.uniform(0.1, 1.6))
    return Solid(Tissue.BOWEL, shape, level)


def _draw_muscles(rng: np.random.Generator) -> list[Solid]:
    solids = []
    heart = draw_ellipsoid(rng, (-18, 22, 128), (44, 36, 34), jitter_mm=5)
    solids.append(Solid(Tissue.VESSEL, heart))
    for side in (-1.0, 1.0):
        knots = np.array([[side * 27, -46, 10], [side * 34, -44, -60], [side * 48, -34, -140]])
        solids.append(Solid(Tissue.MUSCLE, draw_tube(rng, knots, (8, 16, 20), jitter_mm=3)))
    return solids


def _draw_organs(rng: np.random.Generator) -> list[Solid]:
    def organ(tissue: Tissue, *args: tuple[float, float, float], **kwargs: float) -> Solid:
        return Solid(tissue, draw_ellipsoid(rng, *args, **kwargs))  # type: ignore[arg-type]

    tilt = rng.uniform(4, 14, 2)
    return [
        organ(Tissue.LIVER, (56, 6, 40), (50, 62, 60), roughness=0.035),
        organ(Tissue.LIVER, (4, 36, 56), (58, 29, 30), roughness=0.05),
        organ(Tissue.SPLEEN, (-78, -30, 48), (23, 36, 44), jitter_mm=6, roughness=0.04),
        Solid(
            Tissue.KIDNEY_RIGHT,
            draw_ellipsoid(
                rng, (54, -40, -26), (25, 22, 47), jitter_mm=6, degrees=(4, float(tilt[0]), 25)
            ),
        ),
        Solid(
            Tissue.KIDNEY_LEFT,
            draw_ellipsoid(
                rng, (-54, -40, -12), (25, 22, 48), jitter_mm=6, degrees=(4, -float(tilt[1]), -25)
            ),
        ),
    ]


def _draw_vessels(rng: np.random.Generator) -> list[Solid]:
    aorta = np.array([[-12, -30, 150], [-9, -24, 0], [-4, -24, -150]])
    cava = np.array([[16, -12, 150], [16, -22, 0], [15, -24, -150]])
    portal = np.array([[4, 2, -12], [16, 4, 14], [42, 6, 36]])
    return [
        Solid(Tissue.VESSEL, draw_tube(rng, aorta, (11, 10, 9), jitter_mm=2, balls=60)),
        Solid(Tissue.VESSEL, draw_tube(rng, cava, (12, 11, 11), jitter_mm=2, balls=60)),
        Solid(Tissue.VESSEL, draw_tube(rng, portal, (7, 7, 5), jitter_mm=3)),
    ]


def _draw_small_organs(rng: np.random.Generator) -> list[Solid]:
    pancreas = np.array([[30, 8, -24], [22, 18, -4], [-4, 20, 4], [-32, 4, 14], [-62, -14, 26]])
    gallbladder = draw_ellipsoid(
        rng, (50, 42, -20), (15, 15, 25), jitter_mm=5, degrees=(25, 0, 0), roughness=0.02
    )
    return [
        Solid(Tissue.PANCREAS, draw_tube(rng, pancreas, (15, 11, 10.5), jitter_mm=4)),
        Solid(Tissue.GALLBLADDER, gallbladder),
    ]


def _paint_solid(tissues: npt.NDArray[np.uint8], solid: Solid, points: Points) -> None:
    inside = places_inside(solid.shape, points)
    inside = inside[tissues[inside] != Tissue.BONE]
    tissues[inside] = solid.tissue
    if solid.gas_above is not None:
        tissues[inside[points[1, inside] > solid.gas_above]] = Tissue.GAS
