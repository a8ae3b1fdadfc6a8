"""Contrast and brightness of a sample: given back after an augmentation, then moved a little.

Every arm of a comparison uses it alike. An intensity augmentation such as GIN moves mean and spread
at will; what is given back are those of the scan. They are moved because no two scans agree in
them: MRI has no absolute units, and its coils shade.
"""

import torch
from torch import Tensor

from fedvox.augment.device import full_precision, to_device
from fedvox.augment.settings import ContrastSettings


def keep_moments(changed: Tensor, original: Tensor) -> Tensor:
    """Gives an augmented image the mean and standard deviation that it had before.

    Args:
        changed: ``(B, C, X, Y, Z)``, augmented.
        original: the same images before.

    Returns:
        ``(changed − mean) · std_before / (std + 1e-5) + mean_before`` per sample and channel.

    Example:
        >>> import torch
        >>> original = torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> kept = keep_moments(3 * original + 7, original)
        >>> bool(torch.allclose(kept, original, atol=1e-3))
        True
    """
    if changed is original:
        return original
    spread, mean = _moments(changed)
    spread_before, mean_before = _moments(original)
    return (changed - mean) * (spread_before / (spread + 1e-5)) + mean_before


def vary_contrast(image: Tensor, settings: ContrastSettings, generator: torch.Generator) -> Tensor:
    """Spreads a sample about its mean by a drawn factor and shifts it.

    Args:
        image: ``(B, C, X, Y, Z)``.
        settings: the ranges.
        generator: CPU generator; two values per sample are drawn, whatever the ranges are.

    Returns:
        ``(image − mean) · c + mean + b · std`` with mean and standard deviation per sample and
        channel; c and b are uniform and the same for all channels of a sample.

    Example:
        >>> import torch
        >>> from fedvox.seeding import generator
        >>> image = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1, 1)
        >>> double = ContrastSettings(low=2.0, high=2.0, brightness=0.0)
        >>> vary_contrast(image, double, generator(0)).flatten().tolist()
        [-0.5, 1.5]
    """
    drawn = torch.rand(2, len(image), 1, 1, 1, 1, generator=generator)
    if settings == ContrastSettings(low=1.0, high=1.0, brightness=0.0):
        return image
    factor = settings.low + (settings.high - settings.low) * drawn[0]
    shift = settings.brightness * (2 * drawn[1] - 1)
    with full_precision(image.device):
        factor, shift = to_device(torch.stack([factor, shift]), image.device)
        spread, mean = _moments(image)
        return (image - mean) * factor + mean + shift * spread


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    spread, mean = torch.std_mean(image, dim=(2, 3, 4), keepdim=True, correction=0)
    return spread, mean
