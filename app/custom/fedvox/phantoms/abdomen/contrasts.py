"""How an abdomen looks: CT in HU, or magnetic resonance in arbitrary units.

The order of the tissues' intensities differs between the contrasts, so no monotone map turns one
into another.
"""

from fedvox.phantoms.abdomen.tissue import Tissue
from fedvox.phantoms.tabled import tabled_contrasts

# CT in HU (portal venous phase); MR as a fraction of the brightest tissue.
_TABLES: dict[str, dict[int, float]] = {
    "ct": {
        Tissue.AIR: -1000,
        Tissue.LIVER: 105,
        Tissue.SPLEEN: 125,
        Tissue.KIDNEY_RIGHT: 170,
        Tissue.KIDNEY_LEFT: 170,
        Tissue.PANCREAS: 85,
        Tissue.GALLBLADDER: 12,
        Tissue.FAT: -100,
        Tissue.MUSCLE: 55,
        Tissue.BONE: 350,
        Tissue.VESSEL: 160,
        Tissue.BOWEL: 30,
        Tissue.GAS: -950,
        Tissue.LUNG: -820,
        Tissue.SPINAL_FLUID: 15,
        Tissue.COUCH: -250,
    },
    # Gradient echo after contrast agent, equilibrium phase, fat not suppressed and brightest.
    "mr_t1": {
        Tissue.AIR: 0.0,
        Tissue.LIVER: 0.54,
        Tissue.SPLEEN: 0.60,
        Tissue.KIDNEY_RIGHT: 0.72,
        Tissue.KIDNEY_LEFT: 0.72,
        Tissue.PANCREAS: 0.46,
        Tissue.GALLBLADDER: 0.10,
        Tissue.FAT: 0.90,
        Tissue.MUSCLE: 0.18,
        Tissue.BONE: 0.50,
        Tissue.VESSEL: 0.60,
        Tissue.BOWEL: 0.15,
        Tissue.GAS: 0.02,
        Tissue.LUNG: 0.06,
        Tissue.SPINAL_FLUID: 0.14,
        Tissue.COUCH: 0.0,
    },
    # Turbo spin echo with a long echo time: fluid brightest, fat above liver.
    "mr_t2": {
        Tissue.AIR: 0.0,
        Tissue.LIVER: 0.28,
        Tissue.SPLEEN: 0.70,
        Tissue.KIDNEY_RIGHT: 0.84,
        Tissue.KIDNEY_LEFT: 0.84,
        Tissue.PANCREAS: 0.54,
        Tissue.GALLBLADDER: 0.90,
        Tissue.FAT: 0.38,
        Tissue.MUSCLE: 0.10,
        Tissue.BONE: 0.20,
        Tissue.VESSEL: 0.10,
        Tissue.BOWEL: 0.75,
        Tissue.GAS: 0.02,
        Tissue.LUNG: 0.05,
        Tissue.SPINAL_FLUID: 0.95,
        Tissue.COUCH: 0.0,
    },
}

CONTRASTS = tabled_contrasts(_TABLES, alike=[(Tissue.KIDNEY_RIGHT, Tissue.KIDNEY_LEFT)])
