"""What a loss compares the network's logits with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Pairs = Sequence[tuple[int, int]]
"""Places ``(part, organ that it is a part of)`` among the organs, from 0."""


@dataclass(frozen=True)
class Target:
    """The labels of a batch and what each sample's labels can tell.

    Attributes:
        label: ``(B, X, Y, Z)`` integers, 0 is background.
        annotated: ``(B, O)`` bool, which of the job's organs each sample's labels can hold.
        parents: parts among the organs, from :func:`fedvox.data.organs.parent_pairs`.
        ignores: whether the label can hold :data:`fedvox.data.organs.IGNORED`: voxels that nobody
            annotated, which stand in no sum and get no gradient.
        complete: whether every sample annotates every organ, as far as is known without asking a
            GPU; spares the work on classes that a sample cannot tell apart.
    """

    label: torch.Tensor
    annotated: torch.Tensor
    parents: Pairs = ()
    ignores: bool = False
    complete: bool = False
