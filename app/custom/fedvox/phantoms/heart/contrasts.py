"""How a heart looks: CT with contrast agent in HU, or cine-like MRI in arbitrary units.

Blood is bright in both. Fat is dark in CT and bright in MRI, so no monotone map turns one into the
other.
"""

from functools import partial

import numpy as np

from fedvox.phantoms.body import Contrast, Image
from fedvox.phantoms.heart.tissue import Tissue
from fedvox.phantoms.scanners import scan_ct, scan_mr

_LEFT = (Tissue.LEFT_VENTRICLE, Tissue.LEFT_ATRIUM, Tissue.ASCENDING_AORTA)
_RIGHT = (Tissue.RIGHT_VENTRICLE, Tissue.RIGHT_ATRIUM)
# CT in HU (the contrast agent is in the left heart); MR, balanced steady state, as a fraction.
_TABLES: dict[str, dict[Tissue, float]] = {
    "ct": {
        **dict.fromkeys((*_LEFT, Tissue.DESCENDING_AORTA), 370),
        **dict.fromkeys((*_RIGHT, Tissue.VEIN), 210),
        Tissue.PULMONARY_ARTERY: 270,
        Tissue.AIR: -1000,
        Tissue.MYOCARDIUM: 105,
        Tissue.THIN_WALL: 80,
        Tissue.FAT: -90,
        Tissue.MUSCLE: 55,
        Tissue.BONE: 420,
        Tissue.LUNG: -820,
        Tissue.LIVER: 90,
    },
    "mr": {
        **dict.fromkeys((*_LEFT, Tissue.DESCENDING_AORTA), 0.85),
        **dict.fromkeys((*_RIGHT, Tissue.VEIN), 0.80),
        Tissue.PULMONARY_ARTERY: 0.78,
        Tissue.AIR: 0.0,
        Tissue.MYOCARDIUM: 0.32,
        Tissue.THIN_WALL: 0.30,
        Tissue.FAT: 0.68,
        Tissue.MUSCLE: 0.22,
        Tissue.BONE: 0.30,
        Tissue.LUNG: 0.05,
        Tissue.LIVER: 0.42,
    },
}


def _signals(name: str, rng: np.random.Generator, seed: int) -> Image:
    """The table with each tissue moved a little, the blood of a side alike; air of a CT stays."""
    means = np.zeros(len(Tissue))
    for tissue, mean in _TABLES[name].items():
        means[tissue] = mean
    jitter = np.clip(rng.normal(size=len(Tissue)), -2, 2)
    for side in (_LEFT, _RIGHT):
        jitter[list(side)] = jitter[side[0]]
    if name == "ct":
        agent = np.where(means > 200, 25.0, 7.0)  # how much of it arrives differs
        jitter[Tissue.AIR] = 0.0
        return (means + agent * jitter).astype(np.float32)
    return (means * (1 + 0.07 * jitter)).astype(np.float32)


CONTRASTS = tuple(
    Contrast(name, partial(_signals, name), scan_ct if name == "ct" else scan_mr)
    for name in _TABLES
)
