"""The server's step from the old global model to the new: as it is, or with momentum."""

from collections.abc import Mapping

import numpy as np

from fedvox.aggregation.update import Arrays

MOMENTUM = "momentum."
"""How the names of its arrays in the memory begin."""


def momentum_step(
    model: Arrays, mean: Arrays, velocity: Mapping[str, np.ndarray], momentum: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """FedAvgM: ``v ← β v + (mean − model)``, ``model ← model + v``, in float64.

    Args:
        model: the global model that the sites received.
        mean: the weighted mean of their updates.
        velocity: ``v`` of the round before, float64; empty before the first.
        momentum: β; 0 gives the mean itself.

    Returns:
        The next model in the model's types, and the new ``v``.

    Reference:
        Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated
        Visual Classification", 2019, arXiv:1909.06335.

    Example:
        >>> model, mean = {"w": np.array([0.0])}, {"w": np.array([1.0])}
        >>> first, velocity = momentum_step(model, mean, {}, momentum=0.5)
        >>> second, velocity = momentum_step(first, {"w": np.array([2.0])}, velocity, momentum=0.5)
        >>> float(first["w"][0]), float(second["w"][0])
        (1.0, 2.5)
    """
    following, kept = {}, {}
    for name, old in model.items():
        wide = old.astype(np.float64)
        step = mean[name].astype(np.float64) - wide
        if name in velocity:
            step = momentum * velocity[name] + step
        kept[name] = step
        with np.errstate(over="ignore"):  # the round looks whether the model is finite
            following[name] = (wide + step).astype(old.dtype)
    return following, kept
