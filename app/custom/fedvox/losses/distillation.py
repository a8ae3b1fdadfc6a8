"""What a site cannot tell apart stays as the received model tells it apart.

A case that does not annotate the liver says nothing on where, in what it calls background, the
liver lies. The received model knows it, from other sites. While such a site trains, its own answer
is held to the received model's, given that the voxel is one of those classes.

Reference:
    Wang et al., "ConDistFL: Conditional Distillation for Federated Learning from Partially
    Annotated Data", MICCAI workshop DeCaF 2023, arXiv:2308.04070. There the classes that a case
    annotates are merged; here background and unannotated organs stay apart, and parts of organs
    are treated alike.
"""

import torch

from fedvox.losses.marginal import groups_of
from fedvox.losses.target import Target


def conditional_divergence(
    logits: torch.Tensor, received: torch.Tensor, target: Target
) -> torch.Tensor:
    """``KL(received || own)`` of the classes that a voxel's label leaves open, given these classes.

    Args:
        logits: ``(B, 1 + O, X, Y, Z)`` of the model in training.
        received: logits of the received model for the same input; gets no gradient.
        target: the labels.

    Returns:
        Scalar in nats, the mean over voxels whose label leaves classes open; 0 if there is none.
        Voxels that nobody annotated have a label of no class and do not count.

    Example:
        >>> import torch
        >>> target = Target(torch.zeros(1, 1, 1, 1), annotated=torch.tensor([[False]]))
        >>> even = torch.zeros(1, 2, 1, 1, 1)
        >>> sure = torch.tensor([0.0, 40.0]).reshape(1, 2, 1, 1, 1)
        >>> round(float(conditional_divergence(even, sure, target)), 3)  # log 2
        0.693
        >>> float(conditional_divergence(even, even, target))
        0.0
    """
    total = logits.new_zeros((), dtype=torch.float32)
    count = torch.zeros_like(total)
    for value, members in groups_of(target.annotated, target.parents).items():
        is_open = (members.sum(1) > 1)[:, None, None, None] & (target.label == value)
        divergence = _divergence(logits, received.detach(), members)
        total = total + (divergence * is_open).sum()
        count = count + is_open.sum()
    return total / count.clamp(min=1)


def _divergence(
    logits: torch.Tensor, received: torch.Tensor, members: torch.Tensor
) -> torch.Tensor:
    """``(B, X, Y, Z)``: of the two distributions over some classes, given these classes."""
    others = ~members[:, :, None, None, None]
    own, other = (
        part.float().masked_fill(others, float("-inf")).log_softmax(1).masked_fill(others, 0)
        for part in (logits, received)
    )
    return (other.exp().masked_fill(others, 0) * (other - own)).sum(1)
