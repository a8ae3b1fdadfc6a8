"""How a heart looks: CT with contrast agent in HU, or cine-like MRI in arbitrary units.

Blood is bright in both. Fat is dark in CT and bright in MRI, so no monotone map turns one into the
other.
"""

from fedvox.phantoms.heart.tissue import Tissue
from fedvox.phantoms.tabled import tabled_contrasts

_LEFT = (Tissue.LEFT_VENTRICLE, Tissue.LEFT_ATRIUM, Tissue.ASCENDING_AORTA)
_RIGHT = (Tissue.RIGHT_VENTRICLE, Tissue.RIGHT_ATRIUM)
# CT in HU (the contrast agent is in the left heart); MR, balanced steady state, as a fraction.
_TABLES: dict[str, dict[int, float]] = {
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

CONTRASTS = tabled_contrasts(_TABLES, alike=[_LEFT, _RIGHT], agent_hu=200)
