"""From per-case scores to the summary of a run: means over test cases with 95% intervals.

Sites either share their per-case rows or only a :class:`SharedSummary`. Each site gives, per model,
modality and organ, its number of cases n, their mean Dice m and its standard deviation s. Over all
sites the mean is weighted by cases, and the spread is that of all cases together, so that the same
numbers come out whether a site shared rows or a summary:

    N = sum(n)     M = sum(n m) / N     S^2 = (sum((n - 1) s^2) + sum(n (m - M)^2)) / (N - 1)

The interval follows from N, M and S (:func:`fedvox.metrics.interval.mean_interval`). A site with
two cases does not tell s, which would give both values away; the spread within the other sites
stands in for it, and where no site tells one, there is no interval. The other metrics are weighted
by the cases that have a value: an invented organ has a Dice and no HD95.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedvox.data.organs import REGIONS
from fedvox.metrics import MAIN, METRICS, other_metrics
from fedvox.metrics.interval import FEWEST, mean_interval, spread
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN, MetricRow, SharedSummary, SummaryRow

TEST_SPLIT = "test"
_Scores = Mapping[str, float]  # metric -> value
_Key = tuple[str, str, str]  # model, modality, organ


@dataclass(frozen=True)
class _Mean:
    """A mean and the cases behind it."""

    value: float
    cases: int


@dataclass(frozen=True)
class _Estimate:
    """Mean Dice with its spread and interval, and the means of the other metrics, of some cases."""

    dice: _Mean
    sd: float
    low: float
    high: float
    others: Mapping[str, _Mean]


def summarise(
    rows: Sequence[MetricRow], shared: Sequence[SharedSummary] = (), resamples: int = 0
) -> list[SummaryRow]:
    """Averages the test cases per model, modality and organ, and over organs.

    The row ``mean`` averages the organs of each case first, without the regions that unite several
    of them, then the cases. A case whose value is
    NaN (no evidence, see :func:`fedvox.metrics.case.score_case`) does not enter that mean. The
    result does not depend on the order of ``rows`` or ``shared``.

    Args:
        rows: per-case scores; other splits than ``test`` are left out.
        shared: summaries of the sites that do not share per-case rows.
        resamples: without effect, since intervals need none; callers of version 0.1 pass it.

    Returns:
        One row per group over all sites, sorted by model, modality and organ, ``mean`` last; then
        the same for each site by name.
    """
    parts = [part for part in shared if part.split == TEST_SPLIT]
    own: dict[str, dict[_Key, _Estimate]] = defaultdict(dict)
    for site, group in _by_site(row for row in rows if row.split == TEST_SPLIT).items():
        own[site].update({key: _estimate(scores) for key, scores in _by_group(group).items()})
    for part in parts:
        own[part.site][part.model, part.modality, part.organ] = _of_shared(part)
    sites = sorted(own)
    keys = sorted({key for site in sites for key in own[site]}, key=_order)
    pooled = {key: _combine([own[site][key] for site in sites if key in own[site]]) for key in keys}
    return [_summary_row(key, ALL_SITES, pooled[key]) for key in keys] + [
        _summary_row(key, _site_label(site), own[site][key])
        for site in sites
        for key in keys
        if key in own[site]
    ]


def reduce_rows(rows: Sequence[MetricRow]) -> list[SharedSummary]:
    """At a site that shares only summaries: turns its per-case rows into means and intervals.

    Args:
        rows: per-case scores of one or more sites, models and splits.

    Returns:
        One summary per model, site, split, modality and organ (and ``mean`` over organs).
    """
    places: dict[tuple[str, str], list[MetricRow]] = defaultdict(list)
    for row in rows:
        places[row.site, row.split].append(row)
    return [
        _shared_summary(site, split, key, _estimate(groups[key]))
        for (site, split), groups in ((place, _by_group(places[place])) for place in sorted(places))
        for key in sorted(groups, key=_order)
    ]


def _order(key: _Key) -> tuple[str, str, bool, str]:
    model, modality, organ = key
    return model, modality, organ == MEAN_ORGAN, organ


def _by_site(rows: Iterable[MetricRow]) -> dict[str, list[MetricRow]]:
    groups: dict[str, list[MetricRow]] = defaultdict(list)
    for row in rows:
        groups[row.site].append(row)
    return groups


def _by_group(rows: Iterable[MetricRow]) -> dict[_Key, list[_Scores]]:
    """Per model, modality and organ: the scores of each case, ``mean`` over organs added.

    Regions unite organs that count already, so they do not enter the mean.
    """
    cases: dict[_Key, dict[str, list[_Scores]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for organ in (row.organ,) if row.organ in REGIONS else (row.organ, MEAN_ORGAN):
            cases[row.model, row.modality, organ][row.case].append(row.scores)
    return {
        key: [_mean_scores(group[case]) for case in sorted(group)] for key, group in cases.items()
    }


def _mean_scores(scores: Sequence[_Scores]) -> _Scores:
    return {name: _mean(_values(name, scores)).value for name in METRICS}


def _values(metric: str, scores: Iterable[_Scores]) -> list[float]:
    return [own.get(metric, math.nan) for own in scores]


def _mean(values: Iterable[float]) -> _Mean:
    """Mean and number of the values that are numbers; NaN and 0 when there are none."""
    known = [float(value) for value in values if math.isfinite(value)]
    # fsum rounds once, so the mean does not depend on the order of the values.
    return _Mean(math.fsum(known) / len(known), len(known)) if known else _Mean(math.nan, 0)


def _pool(parts: Iterable[_Mean]) -> _Mean:
    """The mean over all cases behind several means."""
    known = [part for part in parts if part.cases and math.isfinite(part.value)]
    cases = sum(part.cases for part in known)
    if not cases:
        return _Mean(math.nan, 0)
    return _Mean(math.fsum(part.value * part.cases for part in known) / cases, cases)


def _estimate(scores: Sequence[_Scores]) -> _Estimate:
    dice = _values(MAIN, scores)
    mean = _mean(dice)
    sd = spread(value for value in dice if not math.isnan(value))
    low, high = mean_interval(mean.cases, mean.value, sd)
    others = {name: _mean(_values(name, scores)) for name, _ in other_metrics()}
    return _Estimate(mean, sd, low, high, others)


def _of_shared(part: SharedSummary) -> _Estimate:
    ends = (part.dice_low, part.dice_high)
    low, high = ends if part.cases >= FEWEST else (math.nan, math.nan)
    others = {
        name: _told(part.means.get(name, math.nan), part.counts.get(name, 0))
        for name, _ in other_metrics()
    }
    return _Estimate(_told(part.dice_mean, part.cases), part.dice_sd, low, high, others)


def _told(value: float, cases: int) -> _Mean:
    """A mean that a site tells; none without a case behind it."""
    return _Mean(value, cases) if cases > 0 else _Mean(math.nan, 0)


def _combine(parts: Sequence[_Estimate]) -> _Estimate:
    """Pools sites by cases; a lone site keeps its own interval."""
    known = [part for part in parts if part.dice.cases] or list(parts[:1])
    if len(known) == 1:
        dice, sd, low, high = known[0].dice, known[0].sd, known[0].low, known[0].high
    else:
        dice = _pool(part.dice for part in known)
        sd = _pooled_sd(known, dice)
        low, high = mean_interval(dice.cases, dice.value, sd)
    others = {name: _pool(part.others[name] for part in parts) for name, _ in other_metrics()}
    return _Estimate(dice, sd, low, high, others)


def _pooled_sd(parts: Sequence[_Estimate], mean: _Mean) -> float:
    """Standard deviation of all cases together, see the head of this file; NaN where unknown."""
    told = [part for part in parts if part.dice.cases > 1 and not math.isnan(part.sd)]
    squares = math.fsum((part.dice.cases - 1) * part.sd**2 for part in told)
    degrees = sum(part.dice.cases - 1 for part in told)
    needed = sum(part.dice.cases - 1 for part in parts)
    if needed > degrees:  # some sites do not tell their spread
        squares = squares / degrees * needed if degrees else math.nan
    between = math.fsum(part.dice.cases * (part.dice.value - mean.value) ** 2 for part in parts)
    return math.sqrt((squares + between) / (mean.cases - 1))


def _site_label(site: str) -> str:
    """A site that is called as the rows over all sites are must not be taken for them."""
    return f"site {site}" if site == ALL_SITES else site


def _summary_row(key: _Key, site: str, part: _Estimate) -> SummaryRow:
    return SummaryRow(
        *key,
        part.dice.value,
        part.low,
        part.high,
        {name: mean.value for name, mean in part.others.items()},
        cases=part.dice.cases,
        site=site,
    )


def _shared_summary(site: str, split: str, key: _Key, part: _Estimate) -> SharedSummary:
    model, modality, organ = key
    return SharedSummary(
        model=model,
        site=site,
        split=split,
        modality=modality,
        organ=organ,
        cases=part.dice.cases,
        dice_mean=part.dice.value,
        dice_low=part.low,
        dice_high=part.high,
        means={name: mean.value for name, mean in part.others.items()},
        dice_sd=part.sd if part.dice.cases >= FEWEST else math.nan,
        counts={name: mean.cases for name, mean in part.others.items()},
    )
