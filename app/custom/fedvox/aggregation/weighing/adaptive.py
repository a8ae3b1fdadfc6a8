"""Adaptive weights: cases, data quality, performance and divergence, each a switch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.bounds import bounded
from fedvox.aggregation.weighing.divergence import (
    Direction,
    as_long_as_most,
    directions,
    divergences,
)
from fedvox.aggregation.weighing.plain import cases_text
from fedvox.aggregation.weighing.settings import AdaptiveSettings
from fedvox.aggregation.weighing.share import Share, Shares
from fedvox.aggregation.weighing.validation import filled, site_dice

AVERAGES = "adaptive"
"""Its numbers in the memory: site -> moving average of its share."""


@dataclass(frozen=True)
class _Score:
    """A site's score, the product of its factors, and what they were made from."""

    value: float
    terms: Mapping[str, float]


def adaptive(
    updates: Mapping[str, Update],
    read: ReadTensor,
    model: Arrays,
    memory: Memory,
    settings: AdaptiveSettings,
) -> tuple[Shares, Memory]:
    """``s_k = n_k^a · q_k^e · exp(b · dice_k) · exp(−c · d_k)``, bounded and averaged over rounds.

    ``p_k = s_k / Σ s``, clipped to [``least``, ``most``] and renormalised until the bounds hold
    (:func:`fedvox.aggregation.weighing.bounds.bounded`); then ``p̄_k ← m p̄_k + (1 − m) p_k``,
    bounded again. With ``quality``, ``dice``, ``divergence``, ``least`` and ``smoothing`` at 0 and
    ``cases`` and ``most`` at 1 the weights are those of the rule ``cases``, bit for bit.

    ``n_k``: training cases, no more than registered. ``q_k``: claimed data quality, clipped to
    [``least_quality``, 1]. ``dice_k``: mean validation Dice of the received model at the site, as
    far as it is registered; a site without any counts as the mean of the others. ``d_k``: see
    :func:`fedvox.aggregation.weighing.divergence.divergences`. What a site can gain by lying of its
    quality and Dice is at most ``least_quality^(−e) · exp(|b|)``, and never more than ``most``.

    A site that is new starts with this round's share; one that misses rounds keeps its average as
    it was and takes it up when it is back. The averages of those that are there are renormalised.

    Args:
        updates: site -> update without arrays.
        read: ``(site, tensor name) -> array``.
        model: the global model that the sites received.
        memory: holds the averages.
        settings: a, e, b, c are ``cases``, ``quality``, ``dice``, ``divergence``.

    Example:
        >>> import numpy as np
        >>> model = {"w": np.zeros(2)}
        >>> sent = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [1.0, 0.1], "d": [-1.0, 0.2]}
        >>> updates = {
        ...     site: Update(site=site, arrays={}, cases=10, steps=50, sent=frozenset(model))
        ...     for site in sent
        ... }
        >>> settings = AdaptiveSettings(quality=0.0, dice=0.0, divergence=1.0, smoothing=0.0)
        >>> shares, _ = adaptive(
        ...     updates, lambda site, name: np.array(sent[site]), model, Memory(), settings
        ... )
        >>> total = sum(share.weight for share in shares.values())
        >>> {site: round(share.weight / total, 2) for site, share in shares.items()}
        {'a': 0.27, 'b': 0.36, 'c': 0.35, 'd': 0.02}
    """
    cases = {site: _cases(update, settings) for site, update in updates.items()}
    found = directions(updates, read, model, as_long_as_most(updates, read, model, cases))
    scores = _scores(updates, found, settings)
    weights = bounded({s: own.value for s, own in scores.items()}, settings.least, settings.most)
    more = Memory()
    if settings.smoothing:
        before = memory.numbers.get(AVERAGES, {})
        averages = _averaged(weights, before, settings.smoothing)
        weights = bounded(averages, settings.least, settings.most)
        more = Memory({}, {AVERAGES: {**before, **averages}})
    texts = {site: f"{cases_text(updates[site])}, adaptive" for site in weights}
    shares = {s: Share(weight, texts[s], scores[s].terms) for s, weight in weights.items()}
    return shares, more


def _cases(update: Update, settings: AdaptiveSettings) -> float:
    return float(update.cases) ** settings.cases


def _scores(
    updates: Mapping[str, Update], found: Mapping[str, Direction], settings: AdaptiveSettings
) -> dict[str, _Score]:
    dice, apart = filled(site_dice(updates), updates), divergences(found)
    scores = {}
    for site, update in sorted(updates.items()):
        quality = min(max(update.quality, settings.least_quality), 1.0)
        factors = {
            "by_cases": _cases(update, settings),
            "by_quality": quality**settings.quality,
            "by_dice": math.exp(settings.dice * dice[site]) if dice else 1.0,
            "by_divergence": math.exp(-settings.divergence * apart[site]),
        }
        made_from = {"quality": quality, "divergence": apart[site], "norm": found[site].norm}
        made_from |= {"cosine": found[site].cosine} | ({"dice": dice[site]} if dice else {})
        value = math.prod(factors.values())
        scores[site] = _Score(value, {**factors, "score": value, **made_from})
    return scores


def _averaged(
    weights: Mapping[str, float], before: Mapping[str, float], smoothing: float
) -> dict[str, float]:
    """The moving averages of the sites that are there."""
    total = sum(weights[site] for site in sorted(weights))
    now = {site: weight / total for site, weight in weights.items()}
    return {s: share + smoothing * (before.get(s, share) - share) for s, share in now.items()}
