"""From per-case scores to the summary of a run: means over test cases with 95% intervals.

Sites either share their per-case rows or only a :class:`SharedSummary`. Within one site or one
group of per-case rows the interval is a percentile bootstrap over cases. Across contributors that
cannot pool their cases it is the stratified normal interval:

    mean = sum(n_i m_i) / N          se_i = (high_i - low_i) / (2 * 1.96)
    mean +- 1.96 * sqrt(sum(n_i^2 se_i^2)) / N          N = sum(n_i)

A contributor with a single case has no spread of its own (its bootstrap interval is a point), so
when contributors are pooled the largest spread per case of the others, se_i sqrt(n_i), stands in.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fedvox.data.organs import REGIONS
from fedvox.metrics.table import MEAN_ORGAN, MetricRow, SharedSummary, SummaryRow
from fedvox.seeding import derive_seed

TEST_SPLIT = "test"
_Z95 = 1.96
_Scores = tuple[float, float, float]  # Dice, HD95 in mm, NSD


@dataclass(frozen=True)
class _Estimate:
    """Mean Dice with its interval, mean HD95 in mm, mean NSD, and the cases behind them."""

    cases: int
    dice: float
    low: float
    high: float
    hd95_mm: float
    nsd: float


def summarise(
    rows: Sequence[MetricRow],
    shared: Sequence[SharedSummary] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> list[SummaryRow]:
    """Averages the test cases per model, modality and organ, and over organs.

    The row ``mean`` averages the organs of each case first, without the regions that unite several
    of them, then the cases. A case whose value is
    NaN (no evidence, see :func:`fedvox.metrics.case.score_case`) does not enter that mean. The
    result does not depend on the order of ``rows`` or ``shared``.

    Args:
        rows: per-case scores; other splits than ``test`` are left out.
        shared: summaries of the sites that do not share per-case rows.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        One row per group, sorted by model, modality and organ, ``mean`` last.
    """
    contributors: dict[tuple[str, str, str], list[_Estimate]] = defaultdict(list)
    tests = [row for row in rows if row.split == TEST_SPLIT]
    for key, group in _by_group(tests).items():
        contributors[key].append(_estimate(group, resamples, derive_seed(seed, *key[1:])))
    for part in sorted(shared, key=lambda part: part.site):
        if part.split == TEST_SPLIT:
            contributors[part.model, part.modality, part.organ].append(_of_shared(part))
    return [
        _summary_row(key, _combine(contributors[key])) for key in sorted(contributors, key=_order)
    ]


def reduce_rows(
    rows: Sequence[MetricRow], resamples: int = 1000, seed: int = 0
) -> list[SharedSummary]:
    """At a site that shares only summaries: turns its per-case rows into means and intervals.

    Args:
        rows: per-case scores of one or more sites, models and splits.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        One summary per model, site, split, modality and organ (and ``mean`` over organs).
    """
    places: dict[tuple[str, str], list[MetricRow]] = defaultdict(list)
    for row in rows:
        places[row.site, row.split].append(row)
    reduced = []
    for site, split in sorted(places):
        groups = _by_group(places[site, split])
        for key in sorted(groups, key=_order):
            part = _estimate(groups[key], resamples, derive_seed(seed, site, split, *key[1:]))
            reduced.append(_shared_summary(site, split, key, part))
    return reduced


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, resamples: int, seed: int
) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of a mean.

    Args:
        values: one number per case, none of them NaN; shape ``(cases,)``.
        resamples: number of resamples, each as large as ``values``.
        seed: of the resampling.

    Returns:
        Lower and upper end; both NaN when there are no values.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not ordered.size:
        return math.nan, math.nan
    picks = np.random.default_rng(seed).integers(ordered.size, size=(resamples, ordered.size))
    low, high = np.percentile(ordered[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _order(key: tuple[str, str, str]) -> tuple[str, str, bool, str]:
    model, modality, organ = key
    return model, modality, organ == MEAN_ORGAN, organ


def _by_group(rows: Iterable[MetricRow]) -> dict[tuple[str, str, str], list[_Scores]]:
    """Per model, modality and organ: one triple of scores per case, ``mean`` over organs added.

    Regions unite organs that count already, so they do not enter the mean.
    """
    cases: dict[tuple[str, str, str], dict[tuple[str, str], list[_Scores]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        scores = (row.dice, row.hd95_mm, row.nsd)
        for organ in (row.organ,) if row.organ in REGIONS else (row.organ, MEAN_ORGAN):
            cases[row.model, row.modality, organ][row.site, row.case].append(scores)
    return {
        key: [_mean_scores(group[case]) for case in sorted(group)] for key, group in cases.items()
    }


def _mean_scores(scores: Sequence[_Scores]) -> _Scores:
    dice, hd95, nsd = (_nan_mean(column) for column in zip(*scores, strict=True))
    return dice, hd95, nsd


def _nan_mean(values: Iterable[float], weights: Iterable[float] | None = None) -> float:
    """Weighted mean of the values that are not NaN; NaN when there are none."""
    array = np.fromiter(values, dtype=np.float64)
    weight = np.ones_like(array) if weights is None else np.fromiter(weights, dtype=np.float64)
    known = ~np.isnan(array)
    total = weight[known].sum()
    # fsum rounds once, so the mean does not depend on the order of the values.
    return math.fsum(array[known] * weight[known]) / total if total else math.nan


def _estimate(scores: Sequence[_Scores], resamples: int, seed: int) -> _Estimate:
    dice, hd95, nsd = zip(*scores, strict=True)
    known = [value for value in dice if not math.isnan(value)]
    low, high = bootstrap_interval(known, resamples, seed)
    return _Estimate(len(known), _nan_mean(dice), low, high, _nan_mean(hd95), _nan_mean(nsd))


def _of_shared(part: SharedSummary) -> _Estimate:
    return _Estimate(
        part.cases,
        part.dice_mean,
        part.dice_low,
        part.dice_high,
        part.hd95_mm_mean,
        part.nsd_mean,
    )


def _combine(parts: Sequence[_Estimate]) -> _Estimate:
    """Pools contributors by cases; a lone contributor keeps its own interval."""
    parts = [part for part in parts if part.cases] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    weights = [part.cases for part in parts]
    total = sum(weights)
    dice = _nan_mean((part.dice for part in parts), weights)
    half = _Z95 * math.hypot(*_total_errors(parts)) / total
    return _Estimate(
        total,
        dice,
        max(0.0, dice - half),
        min(1.0, dice + half),
        _nan_mean((part.hd95_mm for part in parts), weights),
        _nan_mean((part.nsd for part in parts), weights),
    )


def _total_errors(parts: Sequence[_Estimate]) -> list[float]:
    """Standard error of each contributor's sum of Dice, n_i se_i."""
    errors = [(part.high - part.low) / (2 * _Z95) for part in parts]
    spread = max(e * math.sqrt(part.cases) for e, part in zip(errors, parts, strict=True))
    return [
        part.cases * e if part.cases > 1 else spread for e, part in zip(errors, parts, strict=True)
    ]


def _summary_row(key: tuple[str, str, str], part: _Estimate) -> SummaryRow:
    return SummaryRow(
        *key, part.dice, part.low, part.high, part.hd95_mm, part.nsd, cases=part.cases
    )


def _shared_summary(
    site: str, split: str, key: tuple[str, str, str], part: _Estimate
) -> SharedSummary:
    model, modality, organ = key
    return SharedSummary(
        model=model,
        site=site,
        split=split,
        modality=modality,
        organ=organ,
        cases=part.cases,
        dice_mean=part.dice,
        dice_low=part.low,
        dice_high=part.high,
        hd95_mm_mean=part.hd95_mm,
        nsd_mean=part.nsd,
    )
