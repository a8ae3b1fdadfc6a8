"""A patient with a brain tumour in world millimetres: which tissue lies at a point."""

from dataclasses import dataclass

import numpy as np

from fedvox.phantoms.body import Ids
from fedvox.phantoms.brain.head import Head, draw_head
from fedvox.phantoms.brain.tumour import Tumour, draw_tumour
from fedvox.phantoms.shapes import Points, Warp, draw_warp
from fedvox.seeding import derive_seed


@dataclass(frozen=True)
class BrainPatient:
    """All parameters of one phantom patient.

    Attributes:
        head: skull and brain.
        tumour: painted over the brain.
        warp: smooth displacement from world space into the undeformed head.
    """

    head: Head
    tumour: Tumour
    warp: Warp

    def paint(self, world: Points) -> Ids:
        """:class:`Tissue` ids, shape (N,), at positions of shape (3, N) in world mm."""
        points = self.warp.apply(world)
        tissues = self.head.paint(points)
        self.tumour.paint(tissues, points)
        return tissues


def draw_patient(seed: int) -> BrainPatient:
    """Draws one patient.

    Args:
        seed: the patient; equal seeds give equal patients.
    """
    rng = np.random.default_rng(derive_seed(seed, "phantom-brain"))
    head = draw_head(rng)
    return BrainPatient(head, draw_tumour(rng, head), draw_warp(rng, shift_mm=1.5))
