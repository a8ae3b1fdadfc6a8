"""FedCE: who contributes what the others do not counts more."""

import operator
from collections.abc import Mapping
from typing import Any

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.divergence import directions
from fedvox.aggregation.weighing.settings import FedCESettings
from fedvox.aggregation.weighing.share import Share, Shares
from fedvox.aggregation.weighing.validation import filled, site_dice

MEMORY = "fedce"
"""Its numbers in the memory: ``weights``, and ``cosines`` as site -> [mean, rounds]."""
EPSILON = 1e-6
"""The smallest contribution before it is divided by the sum, as in FLARE."""


def fedce(
    updates: Mapping[str, Update],
    read: ReadTensor,
    model: Arrays,
    memory: Memory,
    settings: FedCESettings,
) -> tuple[Shares, Memory]:
    """Direction plus error: ``w_k ∝ g_k / Σ g + e_k / Σ e``, or their product (``times``).

    ``g_k = 1 − mean over rounds of cos(Δ_k, Σ_{j≠k} w_j Δ_j)`` with the weights of the round
    before; ``e_k = 1 − Dice``. Each is clipped to at least 1e-6. In the first round all weights are
    alike; a new site has ``1 / (known sites + 1)``; who misses a round keeps its weight and mean.

    Where it deviates: FedCE takes ``e_k`` from the model *without* site k, which the site builds
    and validates beside the received one. Here it is the error of the received model itself on the
    site's validation cases, which the server has without a further message: a site that the model
    serves badly counts more. As published, nothing bounds a site's weight: who claims a Dice of 0
    gains.

    Reference:
        Jiang et al., "Fair Federated Medical Image Segmentation via Client Contribution
        Estimation", CVPR 2023, arXiv:2303.16520; in the form of
        ``nvflare.app_opt.pt.fedce.FedCEModelAggregator`` of NVIDIA FLARE 2.9.

    Example:
        >>> import numpy as np
        >>> model = {"w": np.zeros(2)}
        >>> sent = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}
        >>> updates = {
        ...     site: Update(site=site, arrays={}, cases=10, steps=50, sent=frozenset(model))
        ...     for site in sent
        ... }
        >>> shares, _ = fedce(
        ...     updates, lambda site, name: np.array(sent[site]), model, Memory(), FedCESettings()
        ... )
        >>> {site: round(share.weight, 3) for site, share in shares.items()}
        {'a': 0.259, 'b': 0.259, 'c': 0.482}
    """
    known: Mapping[str, Any] = memory.numbers.get(MEMORY, {"weights": {}, "cosines": {}})
    found = directions(updates, read, model, _prior(updates, known["weights"]))
    means = {s: _running(own.cosine, known["cosines"].get(s)) for s, own in found.items()}
    turned = _normalised({site: 1 - mean for site, (mean, _) in means.items()})
    dice = filled(site_dice(updates), updates) or dict.fromkeys(found, 0.0)
    errors = _normalised({site: 1 - dice[site] for site in found})
    combine = operator.add if settings.mode == "plus" else operator.mul
    weights = _normalised({site: combine(turned[site], errors[site]) for site in found})
    shares = {}
    for site, own in found.items():
        terms = {"by_direction": turned[site], "by_error": errors[site]}
        terms |= {"cosine_mean": means[site][0], "cosine": own.cosine, "norm": own.norm}
        shares[site] = Share(weights[site], "FedCE's contribution", terms)
    kept = {
        "weights": {**known["weights"], **weights},
        "cosines": {**known["cosines"], **{site: list(own) for site, own in means.items()}},
    }
    return shares, Memory({}, {MEMORY: kept})


def _prior(updates: Mapping[str, Update], before: Mapping[str, float]) -> dict[str, float]:
    """Weights of the round before; all alike in the first, ``1 / (n + 1)`` of a new site."""
    new = 1 / (len(before) + 1) if before else 1 / len(updates)
    return {site: before.get(site, new) for site in updates}


def _running(cosine: float, before: list[float] | None) -> tuple[float, float]:
    """The mean over a site's rounds and their number."""
    mean, count = before or (0.0, 0)
    return mean + (cosine - mean) / (count + 1), count + 1


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    clipped = {site: max(value, EPSILON) for site, value in values.items()}
    total = sum(clipped[site] for site in sorted(clipped))
    return {site: value / total for site, value in clipped.items()}
