"""Probabilities of what a case tells apart: where every loss here begins.

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

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from fedvox.data.organs import IGNORED
from fedvox.losses.target import Pairs, Target


@dataclass(frozen=True)
class Marginals:
    """A batch's marginal log-probabilities beside its labels.

    Attributes:
        log_probabilities: ``(B, 1 + O, X, Y, Z)``, from :func:`marginal_log_probabilities`.
        label: ``(B, 1, X, Y, Z)`` int64; 0 where nobody annotated.
        log_true: ``(B, 1, X, Y, Z)``, of the class that the label says.
        known: ``(B, 1, X, Y, Z)`` bool, where somebody annotated; None for everywhere.
    """

    log_probabilities: torch.Tensor
    label: torch.Tensor
    log_true: torch.Tensor
    known: torch.Tensor | None

    def probabilities(self) -> torch.Tensor:
        """``(B, 1 + O, X, Y, Z)``; 0 where nobody annotated."""
        found = self.log_probabilities.exp()
        return found if self.known is None else found.masked_fill(~self.known, 0)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of ``(B, 1, X, Y, Z)`` over the voxels that somebody annotated; 0 without any.

        Args:
            values: one number per voxel.
        """
        if self.known is None:
            return values.mean()
        return values.masked_fill(~self.known, 0).sum() / self.known.sum().clamp(min=1)


def marginals(logits: torch.Tensor, target: Target) -> Marginals:
    """What a loss needs of logits and labels.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)``.
        target: the labels.
    """
    if target.complete:  # nothing to merge: the same numbers in a third of the time
        log_probabilities = F.log_softmax(logits.float(), dim=1)
    else:
        log_probabilities = marginal_log_probabilities(logits, target.annotated, target.parents)
    label = target.label.long()[:, None]
    known = label != IGNORED if target.ignores else None
    if known is not None:
        label = label.masked_fill(~known, 0)
    return Marginals(log_probabilities, label, log_probabilities.gather(1, label), known)


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
