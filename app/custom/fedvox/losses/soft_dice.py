"""Soft Dice over the annotated organs of a batch."""

import torch

SMOOTH = 1e-5


def soft_dice_loss(
    probabilities: torch.Tensor, label: torch.Tensor, annotated: torch.Tensor
) -> torch.Tensor:
    """``1 − mean_o (2 Σ p_o g_o + ε) / (Σ p_o + Σ g_o + ε)``.

    The mean is over the organs that some sample annotates; the sums run over all voxels of the
    samples that annotate the organ.

    Args:
        probabilities: ``(B, 1 + O, X, Y, Z)``.
        label: ``(B, 1, X, Y, Z)`` int64.
        annotated: ``(B, O)`` bool.

    Returns:
        Scalar.

    Example:
        >>> import torch
        >>> label = torch.tensor([[[[[0, 1, 1, 0]]]]])
        >>> sure = torch.cat([label == 0, label == 1], dim=1).float()
        >>> annotated = torch.tensor([[True]])
        >>> float(soft_dice_loss(sure, label, annotated))
        0.0
        >>> round(float(soft_dice_loss(1 - sure, label, annotated)), 3)
        1.0
    """
    organs = annotated.shape[1]
    truth = torch.stack([(label[:, 0] == organ + 1) for organ in range(organs)], dim=1)
    used = annotated[:, :, None, None, None].to(probabilities.dtype)
    predicted = probabilities[:, 1:] * used
    axes = (0, 2, 3, 4)
    overlap = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + (truth * used).sum(axes)
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    weight = annotated.any(0).to(dice.dtype)
    return 1 - (dice * weight).sum() / weight.sum().clamp(min=1)
