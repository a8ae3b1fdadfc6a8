"""Tissue ids of the head; 1 to 3 are the parts of the tumour, with BraTS' values since 2023."""

import enum

ORGANS = ("tumour_necrotic", "tumour_oedema", "tumour_enhancing")


class Tissue(enum.IntEnum):
    """Tissue ids; those of ``ORGANS`` first and in their order, 0 is air."""

    AIR = 0
    NECROTIC = 1
    OEDEMA = 2
    ENHANCING = 3
    FLUID = 4
    GREY = 5
    WHITE = 6
    GLIOSIS = 7
    SKULL = 8
    SCALP = 9


OUTSIDE = (Tissue.AIR, Tissue.SKULL, Tissue.SCALP)
"""What skull-stripping cuts away."""
