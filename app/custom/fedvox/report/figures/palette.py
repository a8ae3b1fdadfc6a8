"""Colours: one for each structure, see :mod:`fedvox.data.structures`, and those of curves."""

from fedvox.data.structures import STRUCTURES

ORGAN_COLOURS = {structure.name: structure.colour for structure in STRUCTURES}
OTHER_COLOUR = "#d0d0d0"

# Okabe and Ito's palette, which stays apart under the common forms of colour blindness.
CURVE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
CURVE_MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">")
"""Curves are told apart by their markers too, not by colour alone."""
