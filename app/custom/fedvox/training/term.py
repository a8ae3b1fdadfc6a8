"""One summand of a step's loss, over outputs by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fedvox.losses.target import Target

RECEIVED = "received"

Outputs = Mapping[str, torch.Tensor]
"""Name -> ``(B, K, X, Y, Z)``."""


@dataclass(frozen=True)
class Term:
    """One summand of a step's loss.

    Attributes:
        name: for people.
        reads: outputs that it needs.
        value: from the outputs and the labels to a scalar.
        weight: what it is multiplied with.
    """

    name: str
    reads: frozenset[str]
    value: Callable[[Outputs, Target], torch.Tensor]
    weight: float = 1.0
