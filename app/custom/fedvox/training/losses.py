"""Segmentation losses that leave alone what a site does not annotate.

A voxel that a partially labelled site calls background may be any organ it does not annotate. The
marginal form adds the probabilities of those organs to the background's before the loss, so that
neither answer is punished. A part of an organ (a tumour of the liver) that a case does not tell
apart lies inside the organ: where the case annotates the organ, the part's probability joins the
organ's and not the background's.

The value is that of the paper; the gradient is not. A sum of probabilities hands its gradient to
its members in proportion to what they have: background, the largest, grows at every step, and an
organ that only other sites annotate dies out on this site's images. Here the members share the
gradient evenly, so that a site says nothing on how they stand to each other, as it knows nothing.
``benchmarks/partial_labels.py`` shows what it is worth.

Reference:
    Shi et al., "Marginal loss and exclusion loss for partially supervised multi-organ
    segmentation", Medical Image Analysis 2021, eq. 3 to 5. Here per sample, so that one batch may
    mix cases with different annotations.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from fedvox.data.organs import IGNORED

FOCAL_GAMMA = 2.0
SMOOTH = 1e-5

Pairs = Sequence[tuple[int, int]]
"""Places ``(part, organ that it is a part of)`` among the organs, from 0."""


def marginal_log_probabilities(
    logits: torch.Tensor, annotated: torch.Tensor, parents: Pairs = ()
) -> torch.Tensor:
    """Log-probabilities with unannotated organs merged into their parents or the background.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        annotated: ``(B, O)`` bool.
        parents: parts among the organs.

    Returns:
        ``(B, 1 + O, X, Y, Z)``; channel 0 is background or any unannotated organ without an
        annotated parent. Channels of unannotated organs keep their plain log-probability and must
        not be used.
    """
    logits = logits.float()
    groups = groups_of(annotated, parents)
    channels = [
        _merged(logits, groups[index]) if index in groups else logits[:, index : index + 1]
        for index in range(logits.shape[1])
    ]
    unused = ~F.pad(annotated, (1, 0), value=True)[:, :, None, None, None]
    used = F.log_softmax(torch.cat(channels, dim=1).masked_fill(unused, float("-inf")), dim=1)
    return torch.where(unused, F.log_softmax(logits, dim=1), used)


def groups_of(annotated: torch.Tensor, parents: Pairs = ()) -> dict[int, torch.Tensor]:
    """Classes that samples may not tell apart.

    Args:
        annotated: ``(B, O)`` bool.
        parents: parts among the organs.

    Returns:
        Label value -> ``(B, 1 + O)`` bool, the classes that a voxel with this value may be; the
        value itself is among them. Background, and organs with parts.
    """
    joined = torch.zeros_like(annotated)
    for part, parent in parents:
        joined[:, part] = annotated[:, parent] & ~annotated[:, part]
    groups = {0: F.pad(~(annotated | joined), (1, 0), value=True)}
    for part, parent in parents:
        alone = torch.zeros_like(groups[0])
        alone[:, parent + 1] = True
        members = groups.setdefault(parent + 1, alone)
        members[:, part + 1] = joined[:, part]
    return groups


def _merged(logits: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """``(B, 1, X, Y, Z)``: the logit of several classes as one, whose gradient they share evenly.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        members: ``(B, 1 + O)`` bool, at least one per sample.
    """
    others = ~members[:, :, None, None, None]
    fixed = logits.detach()
    value = torch.logsumexp(fixed.masked_fill(others, float("-inf")), dim=1, keepdim=True)
    zero = (logits - fixed).masked_fill(others, 0).sum(dim=1, keepdim=True)
    return value + zero / members.sum(dim=1)[:, None, None, None, None]


def segmentation_loss(
    logits: torch.Tensor,
    label: torch.Tensor,
    annotated: torch.Tensor,
    name: str = "dice_ce",
    parents: Pairs = (),
    ignores: bool = False,
) -> torch.Tensor:
    """Soft Dice plus cross-entropy, or plus focal loss, over the annotated organs.

    ``1 − mean_o (2 Σ p_o g_o) / (Σ p_o + Σ g_o)`` over the batch, plus the mean over voxels of
    ``−log p`` (cross-entropy) or ``−(1 − p)² log p`` (focal) of the true class.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        label: ``(B, X, Y, Z)`` integers, 0 is background.
        annotated: ``(B, O)`` bool.
        name: ``dice_ce`` or ``dice_focal``.
        parents: parts among the organs, from :func:`fedvox.data.organs.parent_pairs`.
        ignores: whether the label can hold :data:`fedvox.data.organs.IGNORED`: voxels that nobody
            annotated, which stand in no sum and get no gradient.

    Returns:
        Scalar; 0 where nothing is annotated.
    """
    log_probabilities = marginal_log_probabilities(logits, annotated, parents)
    target = label.long()[:, None]
    known = target != IGNORED if ignores else None
    if known is not None:
        target = target.masked_fill(~known, 0)
    true = log_probabilities.gather(1, target)
    if name == "dice_focal":
        true = (1 - true.exp()) ** FOCAL_GAMMA * true
    probabilities = log_probabilities.exp()
    if known is None:
        return dice_loss(probabilities, target, annotated) - true.mean()
    mean = true.masked_fill(~known, 0).sum() / known.sum().clamp(min=1)
    return dice_loss(probabilities.masked_fill(~known, 0), target, annotated) - mean


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
