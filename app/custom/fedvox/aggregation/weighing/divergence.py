"""How far each site's update is from the others': its length and its direction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.update import Arrays, Update

FEWEST = 3
"""Sites from which on one of them can stand out from the others."""
MOST_SIGMA = 3.0
"""An update is not taken to stand out by more."""
NORM_FLOOR, COSINE_FLOOR = 0.1, 0.1
"""The scale is not taken to be finer: a tenth of the median length, 0.1 of ``1 − cosine``. Sites
that are all alike would else look far apart, since their own spread is the yardstick."""
_NORMAL = 1.4826
"""Median absolute deviation -> standard deviation of a normal distribution."""


@dataclass(frozen=True)
class Direction:
    """An update ``Δ`` = local − global against those of the other sites.

    Attributes:
        norm: ``‖Δ‖``.
        rms: root mean square of its numbers, so that sites with fewer tensors can be compared.
        cosine: to the weighted mean of the others' updates, over the tensors that others sent too;
            0 where either has no length.
    """

    norm: float
    rms: float
    cosine: float


def as_long_as_most(
    updates: Mapping[str, Update],
    read: ReadTensor,
    model: Arrays,
    weights: Mapping[str, float],
) -> dict[str, float]:
    """Weights for :func:`directions` under which no update counts longer than the median.

    A single huge update would else be the others' mean, whatever they sent, and turn all of them
    away from it: ``w_k · min(1, median(rms) / rms_k)``.

    Args:
        updates, read, model: as :func:`directions` takes them.
        weights: site -> positive weight.
    """
    lengths = {}
    for site in sorted(updates):
        names = [name for name in sorted(model) if name in updates[site].sent]
        changes = (_change(read(site, name), model[name]) for name in names)
        squares = [(_dot(change, change), change.size) for change in changes]
        lengths[site] = _rms(sum(s for s, _ in squares), sum(n for _, n in squares))
    median = float(np.median(list(lengths.values())))
    return {
        site: weights[site] * (median / length if length > median > 0 else 1.0)
        for site, length in lengths.items()
    }


def directions(
    updates: Mapping[str, Update],
    read: ReadTensor,
    model: Arrays,
    weights: Mapping[str, float],
) -> dict[str, Direction]:
    """Length and leave-one-out cosine of each update, in float64.

    Tensors are read one after the other and each site's copy twice, so that memory holds no more
    than a few copies of the largest tensor, however many sites there are.

    Args:
        updates: site -> update, with the names of what it sent.
        read: ``(site, tensor name) -> array``.
        model: the global model that the sites received.
        weights: site -> positive weight in the mean of the others.
    """
    squares, sizes = dict.fromkeys(updates, 0.0), dict.fromkeys(updates, 0)
    shared, others, dots = (dict.fromkeys(updates, 0.0) for _ in range(3))
    for name in sorted(model):
        owners = [site for site in sorted(updates) if name in updates[site].sent]
        total = sum(weights[site] for site in owners)
        summed = np.zeros(model[name].shape)
        for site in owners:
            summed += weights[site] * _change(read(site, name), model[name])
        for site in owners:
            change = _change(read(site, name), model[name])
            square = _dot(change, change)
            squares[site] += square
            sizes[site] += change.size
            if len(owners) > 1:
                mean = (summed - weights[site] * change) / (total - weights[site])
                shared[site] += square
                others[site] += _dot(mean, mean)
                dots[site] += _dot(change, mean)
    return {
        site: Direction(
            norm=math.sqrt(squares[site]),
            rms=_rms(squares[site], sizes[site]),
            cosine=_cosine(dots[site], shared[site], others[site]),
        )
        for site in sorted(updates)
    }


def divergences(found: Mapping[str, Direction]) -> dict[str, float]:
    """How far each update stands out: ``d_k = z(rms_k) + z(1 − cosine_k)``, from 0 to 6.

    ``z(x) = (x − median) / max(1.4826 · MAD, floor)`` over the sites, clipped to [0, 3]: an update
    that is shorter or more like the others' than most gains nothing by it. With fewer than three
    sites nobody can stand out, and all are 0.

    Example:
        >>> sites = {"a": 1.0, "b": 1.1, "c": 0.9, "d": 1.4}
        >>> found = {site: Direction(rms, rms, 0.5) for site, rms in sites.items()}
        >>> {site: round(d, 2) for site, d in divergences(found).items()}
        {'a': 0.0, 'b': 0.34, 'c': 0.0, 'd': 2.36}
    """
    if len(found) < FEWEST:
        return dict.fromkeys(found, 0.0)
    lengths = {site: own.rms for site, own in found.items()}
    angles = {site: 1 - own.cosine for site, own in found.items()}
    floor = NORM_FLOOR * float(np.median(list(lengths.values())))
    longer, turned = _standing_out(lengths, floor), _standing_out(angles, COSINE_FLOOR)
    return {site: longer[site] + turned[site] for site in found}


def _standing_out(values: Mapping[str, float], floor: float) -> dict[str, float]:
    known = np.array(list(values.values()))
    median = float(np.median(known))
    scale = max(_NORMAL * float(np.median(np.abs(known - median))), floor)
    if scale == 0.0:  # most did not move at all
        return {s: MOST_SIGMA if value > median else 0.0 for s, value in values.items()}
    return {s: min(max((value - median) / scale, 0.0), MOST_SIGMA) for s, value in values.items()}


def _change(local: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.asarray(local.astype(np.float64) - reference.astype(np.float64))


def _dot(first: np.ndarray, second: np.ndarray) -> float:
    """``Σ first · second`` without BLAS.

    Its threads do not survive a fork: a product that runs while FLARE's simulator forks the process
    of a site never ends. Nor would the sum be the same on another number of threads.
    """
    return float((first * second).sum())


def _rms(square: float, size: int) -> float:
    return math.sqrt(square / max(size, 1))


def _cosine(dot: float, own: float, others: float) -> float:
    length = math.sqrt(own) * math.sqrt(others)
    return min(max(dot / length, -1.0), 1.0) if length else 0.0
