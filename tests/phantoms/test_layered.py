from dataclasses import dataclass

import numpy as np

from fedvox.phantoms.layered import LayeredPatient
from fedvox.phantoms.shapes import Points, Warp


@dataclass(frozen=True)
class Slab:
    """All that lies below a height."""

    top: float
    tissue: int

    def paint(self, tissues: np.ndarray, points: Points) -> None:
        tissues[points[2] < self.top] = self.tissue


def test_later_layers_are_painted_over_earlier_ones_in_the_undeformed_body():
    upside_down = np.diag([1, 1, -1]).astype(np.float32)
    none = np.zeros((0, 3), np.float32)
    warp = Warp(upside_down, none, none[:, 0], none)
    patient = LayeredPatient((Slab(2.0, 1), Slab(-1.0, 2)), warp)
    world = np.array([[0, 0, z] for z in (-3, 0, 3)], np.float32).T
    assert patient.paint(world).tolist() == [0, 1, 2]
