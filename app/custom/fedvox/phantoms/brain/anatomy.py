"""A patient with a brain tumour in world millimetres: which tissue lies at a point."""

import numpy as np

from fedvox.phantoms.brain.head import draw_head
from fedvox.phantoms.brain.tumour import draw_tumour
from fedvox.phantoms.layered import LayeredPatient
from fedvox.phantoms.shapes import draw_warp
from fedvox.seeding import derive_seed


def draw_patient(seed: int) -> LayeredPatient:
    """Draws one patient: a head, and a tumour over its brain.

    Args:
        seed: the patient; equal seeds give equal patients.
    """
    rng = np.random.default_rng(derive_seed(seed, "phantom-brain"))
    head = draw_head(rng)
    return LayeredPatient((head, draw_tumour(rng, head)), draw_warp(rng, shift_mm=1.5))
