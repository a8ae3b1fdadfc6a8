"""One fixed colour for each structure, see :mod:`fedvox.data.structures`."""

from fedvox.data.structures import STRUCTURES

ORGAN_COLOURS = {structure.name: structure.colour for structure in STRUCTURES}
OTHER_COLOUR = "#d0d0d0"
