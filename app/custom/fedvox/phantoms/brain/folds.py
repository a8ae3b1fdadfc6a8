"""Sums of plane waves: where they pass through zero lie sheets that wind as sulci do."""

from dataclasses import dataclass

import numpy as np

from fedvox.phantoms.shapes import Points


@dataclass(frozen=True)
class Waves:
    """A smooth random field of about unit size.

    Attributes:
        vectors: wave vectors, shape (K, 3), rad/mm.
        phases: shape (K,), rad.
    """

    vectors: Points
    phases: Points

    def at(self, points: Points) -> Points:
        """The field at points of shape (3, N) in mm: shape (N,), from -1 to 1."""
        total = np.zeros(points.shape[1], np.float32)
        for vector, phase in zip(self.vectors, self.phases, strict=True):
            total += np.sin(vector @ points + phase)
        return total / np.float32(len(self.phases))


def draw_waves(rng: np.random.Generator, count: int, shortest: float, longest: float) -> Waves:
    """Draws waves of random directions.

    Args:
        rng: source of randomness.
        count: number of waves.
        shortest: wavelength, mm.
        longest: wavelength, mm.
    """
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(shortest, longest, (count, 1))
    vectors = directions * 2 * np.pi / lengths
    phases = rng.uniform(0, 2 * np.pi, count)
    return Waves(vectors.astype(np.float32), phases.astype(np.float32))
