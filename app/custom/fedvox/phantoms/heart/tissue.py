"""Tissue ids, and which of them are structures with a label: those of MM-WHS."""

import enum

ORGANS = (
    "heart_left_ventricle",
    "heart_right_ventricle",
    "heart_left_atrium",
    "heart_right_atrium",
    "heart_myocardium",
    "ascending_aorta",
    "pulmonary_artery",
)


class Tissue(enum.IntEnum):
    """Tissue ids; 1 to 7 are the structures in the order of ``ORGANS``."""

    AIR = 0
    LEFT_VENTRICLE = 1
    RIGHT_VENTRICLE = 2
    LEFT_ATRIUM = 3
    RIGHT_ATRIUM = 4
    MYOCARDIUM = 5
    ASCENDING_AORTA = 6
    PULMONARY_ARTERY = 7
    FAT = 8
    MUSCLE = 9
    BONE = 10
    LUNG = 11
    LIVER = 12
    VEIN = 13
    DESCENDING_AORTA = 14
    THIN_WALL = 15
