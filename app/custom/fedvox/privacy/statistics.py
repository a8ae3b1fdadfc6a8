"""What may leave a site in a plan run: counts and histograms of known features, in known bins."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from fedvox.errors import ConfigError

COUNT, FAILURES, LOW, HIGH, HISTOGRAM = "count", "failure_count", "min", "max", "histogram"
STATISTICS = frozenset((COUNT, FAILURES, LOW, HIGH, HISTOGRAM))
"""FLARE's names; ``min`` and ``max`` are the ends of the bins, never of the data."""
Edges = Mapping[str, Sequence[float]]
"""Feature -> edges of its bins, rising."""
_MOST = 1_000_000


def check_statistics(statistics: Any, edges: Edges, modalities: Sequence[str]) -> None:
    """Statistic -> modality -> feature -> value, each of its known form.

    A histogram must hold exactly as many cases as the counts beside it say: the minimum-cases rule
    looks at the counts.

    Args:
        statistics: as they travel, histograms as lists of ``(low, high, cases)``.
        edges: the features that may leave.
        modalities: those that may leave.

    Raises:
        ConfigError: says which part is not of the known form, without its content.
    """
    if not isinstance(statistics, Mapping) or set(statistics) - STATISTICS:
        _refuse("hold an unknown statistic")
    if COUNT not in statistics:
        _refuse("come without the counts of cases")
    for by_modality in statistics.values():
        _check_names(by_modality, modalities, "modality")
        for by_feature in by_modality.values():
            _check_names(by_feature, tuple(edges), "feature")
    for name, by_modality in statistics.items():
        for modality, by_feature in by_modality.items():
            for feature, value in by_feature.items():
                _check_value(name, value, edges[feature], _cases(statistics, modality, feature))


def check_complete(
    statistics: Mapping[str, Any], edges: Edges, features: Mapping[str, Sequence[str]], asked: Any
) -> None:
    """At the server, after :func:`check_statistics`: nothing lacks that FLARE's sums need.

    A count stands for each feature of each modality, also where it is 0. What was asked for beside
    it may lack only where it is; a histogram that is there has all bins, else the sum over the
    sites would lose those of the others.

    Args:
        statistics: as :func:`check_statistics` let them pass.
        edges: feature -> edges of its bins.
        features: modality -> its features.
        asked: names of the statistics of the task.

    Raises:
        ConfigError: something lacks.
    """
    if {name: set(own) for name, own in statistics[COUNT].items()} != {
        name: set(own) for name, own in features.items()
    }:
        _refuse("lack the count of a feature")
    for by_modality in statistics.values():
        for modality, by_feature in by_modality.items():
            _check_names(by_feature, features[modality], "feature")
    needed = {HISTOGRAM, LOW, HIGH} & set(asked)
    for modality, names in features.items():
        for name in names:
            lacks = [s for s in needed if name not in statistics.get(s, {}).get(modality, {})]
            if lacks and _cases(statistics, modality, name):
                _refuse("lack what was asked for of a feature with cases")
    for by_feature in statistics.get(HISTOGRAM, {}).values():
        for name, bins in by_feature.items():
            if len(bins) != len(edges[name]) - 1:
                _refuse("hold a histogram without its bins")


def _check_names(values: Any, known: Sequence[str], what: str) -> None:
    if not isinstance(values, Mapping) or set(values) - set(known):
        _refuse(f"hold an unknown {what}")


def _cases(statistics: Mapping[str, Any], modality: str, feature: str) -> int:
    """Cases that a feature was taken from, as its counts say."""
    counts = []
    for name in (COUNT, FAILURES):
        value = statistics.get(name, {}).get(modality, {}).get(feature, 0)
        if type(value) is not int or not 0 <= value <= _MOST:
            _refuse("hold a count that is none")
        counts.append(value)
    if counts[1] > counts[0]:
        _refuse("hold more failures than cases")
    return counts[0] - counts[1]


def _check_value(name: str, value: Any, edges: Sequence[float], cases: int) -> None:
    if name == HISTOGRAM:
        _check_bins(value, edges, cases)
    elif name in (LOW, HIGH) and value != edges[0 if name == LOW else -1]:
        _refuse("hold a smallest or largest value of the data")


def _check_bins(bins: Any, edges: Sequence[float], cases: int) -> None:
    if not isinstance(bins, list | tuple) or (bins and len(bins) != len(edges) - 1):
        _refuse("hold a histogram of other bins")
    total = 0.0
    for entry, low, high in zip(bins, edges, edges[1:], strict=False):
        if not isinstance(entry, list | tuple) or len(entry) != 3:
            _refuse("hold a bin that is none")
        if not all(type(part) in (int, float) and math.isfinite(part) for part in entry):
            _refuse("hold a bin that is no number")
        if (entry[0], entry[1]) != (low, high):
            _refuse("hold a histogram of other bins")
        if entry[2] < 0:
            _refuse("hold a bin with less than no case")
        total += entry[2]
    if bins and abs(total - cases) > 1e-6 * max(1, cases):
        _refuse("hold a histogram of another number of cases than counted")


def _refuse(what: str) -> NoReturn:
    raise ConfigError(f"outgoing statistics {what}; nothing was sent")
