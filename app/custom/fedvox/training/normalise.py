"""The last step before the network, the same in training, validation, prediction and exports.

A case is normalised when it is prepared: CT by the job's window in HU, MRI by percentiles of the
body of the case. What is left is a fixed line, so an organ has one value in every window of a case
and neither an empty margin nor the window's share of air changes it. Outside a case lies air, 0
before and ``-CENTRE / SCALE`` after this step.

An intensity augmentation moves mean and spread at will. They are given back afterwards, or training
would see ranges that no scan has.
"""

import torch

CENTRE = 0.25
"""About the mean of an abdominal scan in [0, 1], air included: what zero padding of convolutions
stands for."""
SCALE = 0.25
"""About its standard deviation."""
NORMALISATION = {"centre": CENTRE, "scale": SCALE}
"""What ``model.json`` states: the network sees ``(x - centre) / scale``."""


def normalise(image: torch.Tensor) -> torch.Tensor:
    """Prepared intensities as the network sees them: ``(x − CENTRE) / SCALE``.

    Args:
        image: any shape, in [0, 1].
    """
    return (image - CENTRE) / SCALE


def keep_moments(changed: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Gives an augmented image the mean and standard deviation that it had before.

    Args:
        changed: ``(B, C, X, Y, Z)``, augmented.
        original: the same images before.

    Returns:
        ``(changed − mean) · std_before / (std + 1e-5) + mean_before`` per sample and channel.
    """
    axes = tuple(range(2, changed.ndim))
    spread, mean = torch.std_mean(changed, dim=axes, keepdim=True, correction=0)
    spread_before, mean_before = torch.std_mean(original, dim=axes, keepdim=True, correction=0)
    return (changed - mean) * (spread_before / (spread + 1e-5)) + mean_before
