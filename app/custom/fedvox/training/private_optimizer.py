"""Opacus' optimiser of clipped gradients, with noise that nobody can draw again."""

from typing import Any

import numpy as np
import torch
from opacus.optimizers import DPOptimizer


class PrivateOptimizer(DPOptimizer):
    """Opacus' optimiser with noise from NumPy.

    PyTorch's generator on a CPU takes 32 bits of its seed: they can be tried out, each against the
    update, until the noise is known.

    Args:
        optimizer: what steps.
        source: of the noise, of a seed of 128 bits.
        others: further arguments of Opacus' optimiser.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, source: np.random.Generator, **others: Any
    ) -> None:
        super().__init__(optimizer, **others)
        self.source = source

    def add_noise(self) -> None:
        """Gives noise to the sum of clipped gradients, as Opacus does."""
        deviation = self.noise_multiplier * self.max_grad_norm
        for parameter in self.params:
            drawn = torch.from_numpy(deviation * self.source.standard_normal(parameter.shape))
            parameter.grad = parameter.summed_grad + drawn.to(parameter.summed_grad)
