"""The last step before the network, the same object in training, validation and prediction."""

import torch


def zscore(image: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance per sample and channel: ``(x − mean) / (std + 1e-5)``.

    Args:
        image: ``(B, C, X, Y, Z)``.
    """
    axes = tuple(range(2, image.ndim))
    std, mean = torch.std_mean(image, dim=axes, keepdim=True, correction=0)
    return (image - mean) / (std + 1e-5)
