"""Federated averaging in float64, sites in name order."""

from collections.abc import Callable, Mapping

import numpy as np

from fedvox.aggregation.update import Arrays

ReadTensor = Callable[[str, str], np.ndarray]


def weighted_mean(
    model: Arrays, read: ReadTensor, weights: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """``Σ_k p_k W_k`` with ``p_k = w_k / Σ w``, tensor by tensor.

    Summation is in float64 and in the order of site names, so that the result does not depend on
    the order of arrival; it is rounded once, to the tensor's own type.

    Args:
        model: the current global model, for names and types.
        read: ``(site, tensor name) -> array``.
        weights: site -> positive weight.

    Returns:
        The new global model.

    Reference:
        McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
        Data", AISTATS 2017, algorithm 1.

    Example:
        >>> updates = {"a": {"w": np.array([1.0, 2.0])}, "b": {"w": np.array([5.0, 6.0])}}
        >>> model = {"w": np.zeros(2, np.float32)}
        >>> mean = weighted_mean(model, lambda site, name: updates[site][name], {"a": 3, "b": 1})
        >>> mean["w"].tolist(), mean["w"].dtype.name
        ([2.0, 3.0], 'float32')
    """
    total = sum(weights[site] for site in sorted(weights))
    result = {}
    for name, reference in model.items():
        mean = np.zeros(reference.shape, dtype=np.float64)
        for site in sorted(weights):
            mean += (weights[site] / total) * read(site, name).astype(np.float64)
        result[name] = mean.astype(reference.dtype)
    return result
