"""The last step before the network, the same in training, validation, prediction and exports.

A case is normalised when it is prepared: CT by the job's window in HU, MRI by percentiles of the
body of the case. What is left is a fixed line, so an organ has one value in every window of a case
and neither an empty margin nor the window's share of air changes it. Outside a case lies air, 0
before and ``-CENTRE / SCALE`` after this step.

In training, :mod:`fedvox.augment.contrast` moves a sample's mean and spread a little before this
step: two scans never agree in them.
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
