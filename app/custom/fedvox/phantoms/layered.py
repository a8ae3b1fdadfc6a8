"""A patient in layers under one warp, as a brain in a head and a tumour in the brain."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedvox.phantoms.body import Ids
from fedvox.phantoms.shapes import Points, Warp


class Layer(Protocol):
    """A part of a body."""

    def paint(self, tissues: Ids, points: Points) -> None:
        """Paints over tissue ids, shape (N,), at undeformed positions of shape (3, N), mm."""
        ...


@dataclass(frozen=True)
class LayeredPatient:
    """All parameters of one phantom patient.

    Attributes:
        layers: painted in order over air, later over earlier.
        warp: smooth displacement from world space into the undeformed body.
    """

    layers: tuple[Layer, ...]
    warp: Warp

    def paint(self, world: Points) -> Ids:
        """Tissue ids, shape (N,), at positions of shape (3, N) in world mm."""
        tissues, points = np.zeros(world.shape[1], np.uint8), self.warp.apply(world)
        for layer in self.layers:
            layer.paint(tissues, points)
        return tissues
