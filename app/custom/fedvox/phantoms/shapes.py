"""Closed-form solids that a phantom's organs are made of, and the smooth warp that bends them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ellipsoid:
    """A rotated ellipsoid with a wavy surface.

    A point p lies inside when ``|q| + sum_k a_k sin(f_k . q + phi_k) < 1`` with
    ``q = R (p - centre) / axes``.

    Attributes:
        centre: shape (3,), mm.
        axes: semi-axes, shape (3,), mm.
        rotation: R, shape (3, 3).
        waves: one row (f_x, f_y, f_z, phi, a) per surface wave, shape (K, 5).
    """

    centre: Points
    axes: Points
    rotation: Points
    waves: Points

    def bounds(self) -> tuple[Points, Points]:
        """Lowest and highest corner of a box that holds the solid, mm."""
        swell = 1.0 + float(np.abs(self.waves[:, 4]).sum())
        reach = swell * np.sqrt(((self.rotation.T * self.axes) ** 2).sum(axis=1))
        return self.centre - reach, self.centre + reach

    def inside(self, points: Points) -> Mask:
        """Tells which points lie inside.

        Args:
            points: shape (3, N), mm.

        Returns:
            Shape (N,).
        """
        return self.level(points) < 1.0

    def level(self, points: Points) -> npt.NDArray[np.floating]:
        """Distance from the centre, 1 on the surface, of points of shape (3, N) in mm."""
        local = (self.rotation @ (points - self.centre[:, None])) / self.axes[:, None]
        level = np.sqrt(_squared_length(local))
        for *frequency, phase, amplitude in self.waves:
            level += amplitude * np.sin(np.asarray(frequency, np.float32) @ local + phase)
        return level


@dataclass(frozen=True)
class Tube:
    """A curved tube of varying thickness: the union of balls along a centre line.

    Attributes:
        centres: shape (K, 3), mm.
        radii: shape (K,), mm.
    """

    centres: Points
    radii: Points

    def bounds(self) -> tuple[Points, Points]:
        """Lowest and highest corner of a box that holds the solid, mm."""
        radii = self.radii[:, None]
        return (self.centres - radii).min(axis=0), (self.centres + radii).max(axis=0)

    def inside(self, points: Points) -> Mask:
        """Tells which points, shape (3, N) in mm, lie inside; shape (N,)."""
        result = np.zeros(points.shape[1], bool)
        for centre, radius in zip(self.centres, self.radii, strict=True):
            result |= _squared_length(points - centre[:, None]) < radius * radius
        return result


@dataclass(frozen=True)
class Warp:
    """A smooth displacement: a rigid turn and a sum of long plane waves.

    Attributes:
        turn: rotation of the whole body, shape (3, 3).
        vectors: wave vectors, shape (K, 3), rad/mm.
        phases: shape (K,), rad.
        shifts: displacement per wave, shape (K, 3), mm.
    """

    turn: Points
    vectors: Points
    phases: Points
    shifts: Points

    def apply(self, points: Points) -> Points:
        """Moves points, shape (3, N) in mm, from world space into the undeformed body."""
        moved = self.turn @ points
        for vector, phase, shift in zip(self.vectors, self.phases, self.shifts, strict=True):
            wave = np.sin(vector @ points + phase)
            for axis in range(3):
                moved[axis] += shift[axis] * wave
        return moved


def places_inside(shape: Ellipsoid | Tube, points: Points) -> npt.NDArray[np.intp]:
    """Indices of the points, shape (3, N) in mm, that lie inside; only those near are looked at."""
    (x, y, z), (low, high) = points, shape.bounds()
    near = np.flatnonzero((z > low[2]) & (z < high[2]))
    near = near[(x[near] > low[0]) & (x[near] < high[0])]
    near = near[(y[near] > low[1]) & (y[near] < high[1])]
    return near[shape.inside(points[:, near])]


def _squared_length(points: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    # Three products are several times faster than a sum over an axis of length 3.
    return points[0] * points[0] + points[1] * points[1] + points[2] * points[2]


def ribs(y: Points, z: Points, phase: float) -> Mask:
    """Where ribs lie in a wall, at y and z of shape (N,) in mm; ``phase`` (rad) moves them along z.

    They are 30 mm apart and fall towards the front, as in a body at rest.
    """
    return np.asarray(np.cos((z + 0.35 * y) * np.float32(2 * np.pi / 30) + phase) > 0.45)


def rotation(degrees: tuple[float, float, float]) -> Points:
    """Rotation about x, then y, then z, by angles in degrees; shape (3, 3)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix.astype(np.float32)


def draw_warp(rng: np.random.Generator, waves: int = 6, shift_mm: float = 2.2) -> Warp:
    """Draws a warp with wavelengths of 110 to 300 mm and about ±6 mm of displacement.

    Args:
        rng: source of randomness.
        waves: number of plane waves.
        shift_mm: standard deviation of each wave's displacement per axis, mm.
    """
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(110, 300, size=(waves, 1))
    angles = rng.normal(scale=(2.5, 2.5, 4.0))
    return Warp(
        turn=rotation((angles[0], angles[1], angles[2])),
        vectors=(directions * 2 * np.pi / lengths).astype(np.float32),
        phases=rng.uniform(0, 2 * np.pi, waves).astype(np.float32),
        shifts=rng.normal(scale=shift_mm, size=(waves, 3)).astype(np.float32),
    )


def draw_ellipsoid(
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    axes: tuple[float, float, float],
    *,
    jitter_mm: float = 5.0,
    tilt_degrees: float = 8.0,
    roughness: float = 0.03,
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Ellipsoid:
    """Draws an ellipsoid around a mean pose and size.

    Args:
        rng: source of randomness.
        centre: mean centre, mm.
        axes: mean semi-axes, mm; each is scaled by U(0.93, 1.07) and all by U(0.92, 1.08).
        jitter_mm: standard deviation of the centre per axis, cut at two deviations.
        tilt_degrees: standard deviation of the angles around ``degrees``.
        roughness: standard deviation of each of four surface waves, in units of the radius.
        degrees: mean angles about x, y and z.
    """
    shift = jitter_mm * np.clip(rng.normal(size=3), -2, 2)
    size = rng.uniform(0.93, 1.07, 3) * rng.uniform(0.92, 1.08)
    angles = np.asarray(degrees) + tilt_degrees * np.clip(rng.normal(size=3), -2, 2)
    waves = np.concatenate(
        [
            rng.uniform(-3.5, 3.5, (4, 3)),
            rng.uniform(0, 2 * np.pi, (4, 1)),
            roughness * np.clip(rng.normal(size=(4, 1)), -2, 2),
        ],
        axis=1,
    )
    return Ellipsoid(
        centre=(np.asarray(centre) + shift).astype(np.float32),
        axes=(np.asarray(axes) * size).astype(np.float32),
        rotation=rotation((angles[0], angles[1], angles[2])),
        waves=waves.astype(np.float32),
    )


def draw_tube(
    rng: np.random.Generator,
    knots: npt.NDArray[np.float64],
    radii: tuple[float, float, float],
    jitter_mm: float = 4.0,
    balls: int = 28,
) -> Tube:
    """Draws a tube through jittered knots.

    Args:
        rng: source of randomness.
        knots: at least three points on the mean centre line, shape (K, 3), mm.
        radii: mean radius at the beginning, middle and end, mm; scaled by U(0.9, 1.1).
        jitter_mm: standard deviation of each knot per axis.
        balls: number of balls that make the tube.
    """
    moved = knots + jitter_mm * np.clip(rng.normal(size=knots.shape), -1.5, 1.5)
    moved += jitter_mm * np.clip(rng.normal(size=3), -1.5, 1.5)
    at = np.linspace(0, 1, balls)
    powers = min(3, len(knots) - 1)
    line = np.polynomial.polynomial.polyfit(np.linspace(0, 1, len(knots)), moved, powers)
    centres = np.polynomial.polynomial.polyval(at, line).T
    thickness = np.interp(at, (0, 0.5, 1), radii) * rng.uniform(0.9, 1.1)
    return Tube(centres.astype(np.float32), thickness.astype(np.float32))
