"""The network with the step before and the step after it: a window in, probabilities out."""

import torch
from torch import nn

from fedvox.inference.normalise import normalise


class Segmenter(nn.Module):
    """``softmax(network(normalise(window)))``: what prediction, bundle and TorchScript share.

    Args:
        network: from windows ``(B, C, X, Y, Z)`` to logits ``(B, 1 + O, X, Y, Z)``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """Class probabilities of a batch of windows.

        Args:
            window: ``(B, C, X, Y, Z)`` in [0, 1] on the job's grid.

        Returns:
            float32 ``(B, 1 + O, X, Y, Z)``.
        """
        return torch.softmax(self.network(normalise(window)).float(), dim=1)
