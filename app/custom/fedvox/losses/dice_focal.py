"""Soft Dice plus focal loss, over what each sample annotates."""

import torch

from fedvox.losses.marginal import marginals
from fedvox.losses.soft_dice import soft_dice_loss
from fedvox.losses.target import Target


def dice_focal(logits: torch.Tensor, target: Target, gamma: float = 2.0) -> torch.Tensor:
    """Soft Dice loss plus the mean over voxels of ``−(1 − p)^γ log p`` of the true class.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        target: the labels.
        gamma: γ; 0 gives :func:`fedvox.losses.dice_ce.dice_ce`.

    Returns:
        Scalar; 0 where nothing is annotated.

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 4; without the weight
        of a class, and with softmax.

    Example:
        >>> import torch
        >>> target = Target(torch.tensor([[[[0, 1]]]]), annotated=torch.tensor([[True]]))
        >>> unsure = torch.zeros(1, 2, 1, 1, 2)  # (1 - 0.5)² of log 2, 0.5 of Dice
        >>> round(float(dice_focal(unsure, target)), 3)
        0.673
        >>> round(float(dice_focal(unsure, target, gamma=0.0)), 3)
        1.193
    """
    found = marginals(logits, target)
    weighted = (1 - found.log_true.exp()) ** gamma * found.log_true
    dice = soft_dice_loss(found.probabilities(), found.label, target.annotated)
    return dice - found.mean(weighted)
