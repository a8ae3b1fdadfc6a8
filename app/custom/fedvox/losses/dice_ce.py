"""Soft Dice plus cross-entropy, over what each sample annotates."""

import torch

from fedvox.losses.marginal import marginals
from fedvox.losses.soft_dice import soft_dice_loss
from fedvox.losses.target import Target


def dice_ce(logits: torch.Tensor, target: Target) -> torch.Tensor:
    """Soft Dice loss plus the mean over voxels of ``−log p`` of the true class.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        target: the labels.

    Returns:
        Scalar; 0 where nothing is annotated.

    Example:
        >>> import torch
        >>> label = torch.tensor([[[[0, 1, 2, 0]]]])
        >>> target = Target(label, annotated=torch.tensor([[True, True]]))
        >>> sure = 40.0 * torch.nn.functional.one_hot(label, 3).movedim(-1, 1).float()
        >>> round(abs(float(dice_ce(sure, target))), 3)
        0.0
        >>> round(float(dice_ce(torch.zeros(1, 3, 1, 1, 4), target)), 2)  # 0.71 of Dice, log 3
        1.81

        A sample that does not annotate organ 2 leaves open where it lies in the background:

        >>> partly = Target(torch.tensor([[[[0, 1, 0, 0]]]]), torch.tensor([[True, False]]))
        >>> round(abs(float(dice_ce(sure, partly))), 3)
        0.0
    """
    found = marginals(logits, target)
    dice = soft_dice_loss(found.probabilities(), found.label, target.annotated)
    return dice - found.mean(found.log_true)
