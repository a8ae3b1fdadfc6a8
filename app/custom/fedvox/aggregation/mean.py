"""Federated averaging in float64, sites in name order."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from fedvox.aggregation.update import Arrays

ReadTensor = Callable[[str, str], np.ndarray]
Shares = Callable[[str], Mapping[str, float]]
"""Tensor -> site -> positive weight, of the sites that own the tensor and sent it."""


def owner_shares(
    weights: Mapping[str, float],
    travelling: Mapping[str, Collection[str]] | None,
    part: Callable[[str, str], float] = lambda site, name: 1.0,
) -> Shares:
    """Who counts in the mean of each tensor: the sites that own it.

    Args:
        weights: site -> positive weight, of the accepted updates.
        travelling: site -> tensors that it sends; who is not in it sends all. None where every
            site sends all.
        part: ``(site, tensor) -> share`` of the site's weight that counts for the tensor, 0 to 1.
    """
    known = travelling or {}

    def shares(name: str) -> dict[str, float]:
        return {
            site: weight * share
            for site, weight in weights.items()
            if (site not in known or name in known[site]) and (share := part(site, name)) > 0
        }

    return shares


def weighted_mean(model: Arrays, read: ReadTensor, shares: Shares) -> dict[str, np.ndarray]:
    """``Σ_k p_k W_k`` with ``p_k = w_k / Σ w`` over the owners of each tensor.

    Summation is in float64 and in the order of site names, so that the result does not depend on
    the order of arrival; it is rounded once, to the tensor's own type.

    Args:
        model: the tensors of the current global model that somebody owns, for names and types.
        read: ``(site, tensor name) -> array``.
        shares: tensor -> site -> positive weight; at least one site each.

    Returns:
        These tensors of the new global model.

    Reference:
        McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
        Data", AISTATS 2017, algorithm 1.

    Example:
        >>> updates = {"a": {"w": np.array([1.0, 2.0])}, "b": {"w": np.array([5.0, 6.0])}}
        >>> model = {"w": np.zeros(2, np.float32)}
        >>> shares = owner_shares({"a": 3, "b": 1}, None)
        >>> mean = weighted_mean(model, lambda site, name: updates[site][name], shares)
        >>> mean["w"].tolist(), mean["w"].dtype.name
        ([2.0, 3.0], 'float32')
    """
    result = {}
    for name, reference in model.items():
        weights = shares(name)
        total = sum(weights[site] for site in sorted(weights))
        mean = np.zeros(reference.shape, dtype=np.float64)
        for site in sorted(weights):
            mean += (weights[site] / total) * read(site, name).astype(np.float64)
        result[name] = mean.astype(reference.dtype)
    return result
