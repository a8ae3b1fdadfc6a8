"""FLARE's statistics as FedVox uses them: what is asked for, packed, checked and cleansed."""

from collections.abc import Mapping, Sequence
from typing import Any

from nvflare.app_common.abstract.statistics_spec import (
    Bin,
    DataType,
    Feature,
    Histogram,
    HistogramType,
    Statistics,
)
from nvflare.app_common.app_constant import StatisticsConstants as StC
from nvflare.app_common.statistics.min_count_cleanser import MinCountCleanser
from nvflare.app_common.statistics.statisitcs_objects_decomposer import fobs_registration
from nvflare.fuel.utils import fobs

from fedvox.data.organs import MODALITIES
from fedvox.errors import ConfigError
from fedvox.planning.fingerprint import FEATURES, Fingerprint, features_of
from fedvox.privacy.statistics import COUNT, FAILURES, HISTOGRAM, check_complete, check_statistics

TASKS = (StC.STATS_1st_STATISTICS, StC.STATS_2nd_STATISTICS)
MIN_CASES = 5
_LARGEST = 2**22
"""Bytes of one result, some ten times what all features of all modalities take."""
EDGES = {name: [float(edge) for edge in bins.edges] for name, bins in FEATURES.items()}


def statistic_configs() -> dict[str, Any]:
    """What the server asks for: counts, and histograms whose ranges are fixed beforehand."""
    return {
        StC.STATS_COUNT: {},
        StC.STATS_FAILURE_COUNT: {},
        StC.STATS_HISTOGRAM: {
            name: {StC.STATS_BINS: bins.count, StC.STATS_BIN_RANGE: [bins.low, bins.high]}
            for name, bins in FEATURES.items()
        },
    }


class FingerprintStatistics(Statistics):
    """A site's fingerprints in the words of FLARE's statistics; it answers nothing else.

    Args:
        fingerprints: modality -> what the site's training cases gave.
        modalities: modality sets of the job; one that the site lacks is reported as 0 cases.
    """

    def __init__(self, fingerprints: Mapping[str, Fingerprint], modalities: Sequence[str]) -> None:
        super().__init__()
        self.fingerprints = fingerprints
        self.modalities = modalities

    def features(self) -> dict[str, list[Feature]]:
        """The known features of each modality of the job."""
        return {
            modality: [Feature(name, DataType.FLOAT) for name in features_of(modality)]
            for modality in self.modalities
        }

    def count(self, dataset_name: str, feature_name: str) -> int:
        """Listed training cases of a modality."""
        own = self.fingerprints.get(dataset_name)
        return own.cases if own else 0

    def failure_count(self, dataset_name: str, feature_name: str) -> int:
        """Cases that the feature could not be taken from."""
        own = self.fingerprints.get(dataset_name)
        return own.cases - own.counted[feature_name] if own else 0

    def histogram(
        self,
        dataset_name: str,
        feature_name: str,
        num_of_bins: int,
        global_min_value: float,
        global_max_value: float,
    ) -> Histogram:
        """Cases per bin; only the fixed bins can be asked for.

        Raises:
            ConfigError: the server asks for others.
        """
        bins = FEATURES[feature_name]
        if (num_of_bins, global_min_value, global_max_value) != (bins.count, bins.low, bins.high):
            raise ConfigError("the server asks for other bins than those of this version")
        own = self.fingerprints.get(dataset_name)
        counts = own.histograms[feature_name] if own else [0.0] * bins.count
        return _histogram(zip(EDGES[feature_name], EDGES[feature_name][1:], counts))


def checked_min_cases(value: Any) -> int:
    """The minimum-cases rule's number.

    Raises:
        ConfigError: it is no whole number from 1.
    """
    if type(value) is not int or value < 1:
        raise ConfigError(f"'min_cases' is {value!r}; it must be a whole number from 1")
    return value


def checked_statistics(
    data: Any, min_cases: int, site: str, modalities: Sequence[str] = MODALITIES
) -> dict[str, Any]:
    """A plan task's result, made anew from what was checked, with small groups taken out.

    Args:
        data: content of the result's DXO.
        min_cases: a feature of a modality that fewer cases have is reported as 0 cases.
        site: the site's name, for FLARE's log.
        modalities: modality sets that a case of the job can be of.

    Raises:
        ConfigError: it is not of the known form.
    """
    task, statistics = unpack(data)
    check_statistics(statistics, EDGES, modalities)
    cleanse(statistics, min_cases, site)
    return pack(task, statistics)


def read_statistics(data: Any, asked: str, modalities: Sequence[str], cases: int) -> dict[str, Any]:
    """A plan task's result at the server, made anew from what was checked.

    Args:
        data: content of the result's DXO, untrusted.
        asked: the statistics task that the site was given.
        modalities: of the job.
        cases: training cases that the site registered.

    Raises:
        ConfigError: it is not of the known form, lacks something, or is of more cases.
    """
    task, statistics = unpack(data)
    check_statistics(statistics, EDGES, modalities)
    features = {modality: features_of(modality) for modality in modalities}
    check_complete(statistics, EDGES, features, StC.ordered_statistics[task])
    found = sum(max(counts.values(), default=0) for counts in statistics[COUNT].values())
    if task != asked or found > cases:
        raise ConfigError("statistics of another task, or of more cases than were registered")
    return pack(task, statistics)


def unpack(data: Any) -> tuple[str, dict[str, Any]]:
    """Task and statistics of a result, histograms as lists of ``(low, high, cases)``.

    Raises:
        ConfigError: it has other parts or cannot be read.
    """
    task = data.get(StC.STATISTICS_TASK_KEY) if isinstance(data, Mapping) else None
    if task not in TASKS or set(data) - {StC.STATISTICS_TASK_KEY, StC.STATS_FEATURES, task}:
        raise ConfigError("outgoing statistics hold an unknown part; nothing was sent")
    fobs_registration()
    packed = data.get(task)
    if not isinstance(packed, bytes | bytearray) or len(packed) > _LARGEST:
        raise ConfigError("outgoing statistics cannot be read; nothing was sent")
    try:
        content = fobs.loads(packed)
        return task, {
            statistic: {
                modality: {name: _plain(value) for name, value in features.items()}
                for modality, features in modalities.items()
            }
            for statistic, modalities in content.items()
        }
    except Exception:  # whatever FLARE's decoder meets
        raise ConfigError("outgoing statistics cannot be read; nothing was sent") from None


def pack(task: str, statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`unpack`, with the features that the counts name."""
    fobs_registration()
    content = {
        statistic: {
            modality: {
                name: _histogram(value) if statistic == HISTOGRAM else value
                for name, value in features.items()
            }
            for modality, features in modalities.items()
        }
        for statistic, modalities in statistics.items()
    }
    packed = {StC.STATISTICS_TASK_KEY: task, task: fobs.dumps(content)}
    if task == StC.STATS_1st_STATISTICS:
        features = {
            modality: [Feature(name, DataType.FLOAT) for name in counts]
            for modality, counts in statistics[COUNT].items()
        }
        packed[StC.STATS_FEATURES] = fobs.dumps(features)
    return packed


def cleanse(statistics: dict[str, Any], min_cases: int, site: str) -> None:
    """Takes out, in place, what fewer than ``min_cases`` cases have, by FLARE's cleanser.

    FLARE's leaves the count; here it becomes 0, since a count of one patient is one too. Doing it
    twice changes nothing: FLARE may run a filter again.
    """
    failures = statistics.setdefault(FAILURES, {})
    for modality, counts in statistics[COUNT].items():
        known = failures.setdefault(modality, {})
        for name in counts:
            known.setdefault(name, 0)
    MinCountCleanser(min_cases).apply(statistics, site)
    for modality, counts in statistics[COUNT].items():
        for name in counts:
            if name not in failures[modality]:
                counts[name] = 0


def _plain(value: Any) -> Any:
    """Only the bins of a histogram count; its name could say anything."""
    if not isinstance(value, Histogram):
        return value
    if value.hist_type != HistogramType.STANDARD or value.hist_name is not None:
        raise ValueError("no plain histogram")
    return [tuple(entry) for entry in value.bins]


def _histogram(bins: Any) -> Histogram:
    return Histogram(HistogramType.STANDARD, [Bin(low, high, float(n)) for low, high, n in bins])
