"""Dice: overlap of two masks."""

from fedvox.metrics.metric import Masks


def dice_score(masks: Masks) -> float:
    """Overlap of prediction and reference, ``2 |P ∩ R| / (|P| + |R|)``, 0 to 1.

    Reference:
        Dice, "Measures of the amount of ecologic association between species", Ecology 1945.
    """
    from monai.metrics import compute_dice  # here: MONAI takes seconds to load

    return float(compute_dice(*masks.tensors, include_background=True))
