"""Tissue ids, and which of them are organs with a label."""

import enum

ORGANS = ("liver", "spleen", "kidney_right", "kidney_left", "pancreas", "gallbladder")


class Tissue(enum.IntEnum):
    """Tissue ids; 1 to 6 are the organs in the order of ``ORGANS``."""

    AIR = 0
    LIVER = 1
    SPLEEN = 2
    KIDNEY_RIGHT = 3
    KIDNEY_LEFT = 4
    PANCREAS = 5
    GALLBLADDER = 6
    FAT = 7
    MUSCLE = 8
    BONE = 9
    VESSEL = 10
    BOWEL = 11
    GAS = 12
    LUNG = 13
    SPINAL_FLUID = 14
    COUCH = 15
