"""Aggregators that a few sites cannot move far: every site counts once, by coordinate.

What makes them robust makes them slower to learn where sites differ: a weight that one site alone
moves stays as it was. The weighted mean with screening is the default for that reason.
"""

import math
from collections.abc import Callable

import numpy as np

from fedvox.aggregation.aggregator_settings import TrimmedMeanSettings
from fedvox.aggregation.mean import ReadTensor, Shares
from fedvox.aggregation.update import Arrays


def coordinate_median(model: Arrays, read: ReadTensor, shares: Shares) -> dict[str, np.ndarray]:
    """The median of each weight over the owners of its tensor, each once.

    Args:
        model: the tensors of the current global model that somebody owns, for names and types.
        read: ``(site, tensor name) -> array``.
        shares: tensor -> site -> weight; who is in it counts.

    Returns:
        These tensors of the new global model.

    Reference:
        Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
        ICML 2018, definition 1.

    Example:
        >>> sent = {"a": [1.0, 2.0], "b": [1.2, -1e9], "c": [900.0, 2.2]}
        >>> median = coordinate_median(
        ...     {"w": np.zeros(2, np.float32)},
        ...     lambda site, name: np.array(sent[site]),
        ...     lambda name: dict.fromkeys(sent, 1.0),
        ... )
        >>> median["w"].round(2).tolist()
        [1.2000000476837158, 2.0]
    """
    return _by_coordinate(model, read, shares, lambda values: np.median(values, axis=0))


def trimmed_mean(
    model: Arrays, read: ReadTensor, shares: Shares, settings: TrimmedMeanSettings
) -> dict[str, np.ndarray]:
    """The mean of each weight over the owners of its tensor, without the extreme values.

    Args:
        model: the tensors of the current global model that somebody owns, for names and types.
        read: ``(site, tensor name) -> array``.
        shares: tensor -> site -> weight; who is in it counts.
        settings: how many are left out.

    Returns:
        These tensors of the new global model.

    Reference:
        Yin et al., ICML 2018, definition 2.

    Example:
        >>> sent = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 1e9}
        >>> mean = trimmed_mean(
        ...     {"w": np.zeros(1, np.float32)},
        ...     lambda site, name: np.array([sent[site]]),
        ...     lambda name: dict.fromkeys(sent, 1.0),
        ...     TrimmedMeanSettings(),
        ... )
        >>> mean["w"].tolist()
        [2.5]
    """

    def mean(values: np.ndarray) -> np.ndarray:
        cut = min(math.ceil(settings.trim * len(values)), (len(values) - 1) // 2)
        kept: np.ndarray = np.sort(values, axis=0)[cut : len(values) - cut]
        return np.asarray(kept.mean(axis=0))

    return _by_coordinate(model, read, shares, mean)


def _by_coordinate(
    model: Arrays,
    read: ReadTensor,
    shares: Shares,
    reduce: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """``reduce`` of the owners' values ``(sites, ...)`` of each tensor, in float64."""
    result = {}
    for name, reference in model.items():
        values = [read(site, name).astype(np.float64) for site in sorted(shares(name))]
        result[name] = reduce(np.stack(values)).astype(reference.dtype)
    return result
