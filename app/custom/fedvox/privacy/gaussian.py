"""The Gaussian mechanism on a site's update.

Reference:
    Dwork and Roth, "The Algorithmic Foundations of Differential Privacy", 2014, appendix A; Geyer
    et al., "Differentially Private Federated Learning: A Client Level Perspective", 2017,
    arXiv 1712.07557, there with noise at the server.
"""

import math
from collections.abc import Mapping

import numpy as np

from fedvox.errors import ConfigError, DataError
from fedvox.privacy.noise_settings import NoiseSettings

Arrays = Mapping[str, np.ndarray]


def clipped(update: Arrays, clip: float) -> dict[str, np.ndarray]:
    """An update of at most a norm.

    Args:
        update: tensor name -> what training changed.
        clip: largest L2 norm over all tensors.

    Returns:
        The same direction, in float64.

    Raises:
        DataError: a number is not finite; scaled, it would still not be.

    Example:
        >>> clipped({"w": np.array([3.0, 4.0])}, 2.5)["w"].tolist()
        [1.5, 2.0]
    """
    exact = {name: array.astype(np.float64) for name, array in update.items()}
    largest = max((float(np.abs(array).max()) for array in exact.values() if array.size), default=0)
    if not math.isfinite(largest):
        raise DataError("an update with a number that is not finite cannot be given noise")
    if largest == 0:
        return exact
    # by the largest entry first: squares of a float64 near its limit are infinite
    shares = (float(np.square(array / largest).sum()) for array in exact.values())
    scale = min(1.0, clip / (largest * math.sqrt(sum(shares))))
    return {name: array * scale for name, array in exact.items()}


def noised(
    weights: Arrays, received: Arrays, settings: NoiseSettings, source: np.random.Generator
) -> dict[str, np.ndarray]:
    """Weights whose difference from the received ones is clipped and has noise on every entry.

    Args:
        weights: after training.
        received: what training began with, the same tensors.
        settings: clip and noise.
        source: of the draws; nobody else may know its seed.

    Returns:
        ``received + clip(weights - received) + N(0, (noise · clip)²)``, in the tensors' own types.

    Raises:
        ConfigError: the tensors are not those that training began with.
        DataError: a number is not finite.
    """
    if weights.keys() != received.keys():
        raise ConfigError("noise needs the model that training began with; nothing was sent")
    steps = {
        name: array.astype(np.float64) - received[name].astype(np.float64)
        for name, array in weights.items()
    }
    result = {}
    for name, step in sorted(clipped(steps, settings.clip).items()):
        deviation = settings.noise * settings.clip
        drawn = step + deviation * source.standard_normal(step.shape)
        result[name] = (received[name].astype(np.float64) + drawn).astype(weights[name].dtype)
    return result
