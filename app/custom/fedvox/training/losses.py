"""Segmentation losses that leave alone what a site does not annotate.

A voxel that a partially labelled site calls background may be any organ it does not annotate. The
marginal form adds the probabilities of those organs to the background's before the loss, so that
neither answer is punished.

Reference:
    Shi et al., "Marginal loss and exclusion loss for partially supervised multi-organ
    segmentation", Medical Image Analysis 2021, eq. 3 to 5. Here per sample, so that one batch may
    mix cases with different annotations.
"""

import torch
import torch.nn.functional as F

FOCAL_GAMMA = 2.0
SMOOTH = 1e-5


def marginal_log_probabilities(logits: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
    """Log-probabilities with unannotated organs merged into the background.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        annotated: ``(B, O)`` bool.

    Returns:
        ``(B, 1 + O, X, Y, Z)``; channel 0 is background or any unannotated organ. Channels of
        unannotated organs keep their plain log-probability and must not be used.
    """
    log_probabilities = F.log_softmax(logits.float(), dim=1)
    hidden = torch.zeros_like(annotated, dtype=log_probabilities.dtype)
    hidden = hidden.masked_fill(annotated, float("-inf"))
    hidden = F.pad(hidden, (1, 0))[:, :, None, None, None]
    background = torch.logsumexp(log_probabilities + hidden, dim=1, keepdim=True)
    return torch.cat([background, log_probabilities[:, 1:]], dim=1)


def segmentation_loss(
    logits: torch.Tensor, label: torch.Tensor, annotated: torch.Tensor, name: str = "dice_ce"
) -> torch.Tensor:
    """Soft Dice plus cross-entropy, or plus focal loss, over the annotated organs.

    ``1 − mean_o (2 Σ p_o g_o) / (Σ p_o + Σ g_o)`` over the batch, plus the mean over voxels of
    ``−log p`` (cross-entropy) or ``−(1 − p)² log p`` (focal) of the true class.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        label: ``(B, X, Y, Z)`` integers, 0 is background.
        annotated: ``(B, O)`` bool.
        name: ``dice_ce`` or ``dice_focal``.

    Returns:
        Scalar.
    """
    log_probabilities = marginal_log_probabilities(logits, annotated)
    target = label.long()[:, None]
    true = log_probabilities.gather(1, target)
    if name == "dice_focal":
        true = (1 - true.exp()) ** FOCAL_GAMMA * true
    return dice_loss(log_probabilities.exp(), target, annotated) - true.mean()


def dice_loss(
    probabilities: torch.Tensor, target: torch.Tensor, annotated: torch.Tensor
) -> torch.Tensor:
    """Soft Dice loss over the batch, averaged over organs that some sample annotates.

    Args:
        probabilities: ``(B, 1 + O, X, Y, Z)``.
        target: ``(B, 1, X, Y, Z)`` int64.
        annotated: ``(B, O)`` bool.

    Returns:
        Scalar.
    """
    organs = annotated.shape[1]
    truth = torch.stack([(target[:, 0] == organ + 1) for organ in range(organs)], dim=1)
    used = annotated[:, :, None, None, None].to(probabilities.dtype)
    predicted = probabilities[:, 1:] * used
    axes = (0, 2, 3, 4)
    overlap = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + (truth * used).sum(axes)
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    weight = annotated.any(0).to(dice.dtype)
    return 1 - (dice * weight).sum() / weight.sum().clamp(min=1)
