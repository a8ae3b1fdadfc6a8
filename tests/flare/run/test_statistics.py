"""FLARE's statistics: packed, checked and cleansed at the site."""

import itertools

import numpy as np
import pytest
from nvflare.app_common.abstract.statistics_spec import Bin, Histogram, HistogramType
from nvflare.app_common.app_constant import StatisticsConstants as StC
from nvflare.fuel.utils import fobs

from fedvox.errors import ConfigError
from fedvox.flare.run.statistics import (
    EDGES,
    FingerprintStatistics,
    checked_min_cases,
    checked_statistics,
    pack,
    read_statistics,
    statistic_configs,
    unpack,
)
from fedvox.planning.fingerprint import FEATURES, CaseFingerprint, summarise_cases


def answer(cases: int, task: str = StC.STATS_2nd_STATISTICS) -> dict[str, object]:
    """A site's result with that many CT cases and no MR."""
    one = CaseFingerprint((1.0, 1.0, 5.0), (300.0, 300.0, 200.0), np.eye(1, 1024, 300)[0])
    own = FingerprintStatistics({"ct": summarise_cases("ct", cases, [one] * cases)}, ("ct", "mr"))
    names = {
        modality: [feature.feature_name for feature in features]
        for modality, features in own.features().items()
    }
    histograms = {
        modality: {
            name: own.histogram(
                modality, name, FEATURES[name].count, EDGES[name][0], EDGES[name][-1]
            )
            for name in known
        }
        for modality, known in names.items()
    }
    content = {
        "count": {m: {n: own.count(m, n) for n in known} for m, known in names.items()},
        "failure_count": {m: {n: 0 for n in known} for m, known in names.items()},
        "histogram": histograms,
    }
    plain = {**content, "histogram": {m: bins(h) for m, h in histograms.items()}}
    return pack(task, plain)


def bins(histograms: dict[str, Histogram]) -> dict[str, list[tuple[float, ...]]]:
    return {name: [tuple(entry) for entry in own.bins] for name, own in histograms.items()}


def test_enough_cases_leave_as_they_are():
    task, statistics = unpack(checked_statistics(answer(5), 5, "site-1"))
    assert task == StC.STATS_2nd_STATISTICS
    assert statistics["count"]["ct"]["spacing_r"] == 5
    assert sum(n for _, _, n in statistics["histogram"]["ct"]["spacing_s"]) == 5
    assert statistics["count"]["mr"]["spacing_r"] == 0
    assert statistics["histogram"]["mr"] == {}


def test_too_few_cases_leave_nothing_not_even_their_number():
    _, statistics = unpack(checked_statistics(answer(4), 5, "site-1"))
    assert set(statistics["count"]["ct"].values()) == {0}
    assert statistics["histogram"] == {"ct": {}, "mr": {}}
    assert statistics["failure_count"] == {"ct": {}, "mr": {}}


def test_cleansing_twice_changes_nothing():
    once = checked_statistics(answer(4), 5, "site-1")
    assert unpack(checked_statistics(once, 5, "site-1")) == unpack(once)


def test_a_case_that_could_not_be_read_does_not_count_towards_the_minimum():
    task, statistics = unpack(answer(5))
    statistics["failure_count"]["ct"] = dict.fromkeys(statistics["count"]["ct"], 1)
    for name, entries in statistics["histogram"]["ct"].items():
        statistics["histogram"]["ct"][name] = [(a, b, n * 0.8) for a, b, n in entries]
    _, cleansed = unpack(checked_statistics(pack(task, statistics), 5, "site-1"))
    assert cleansed["histogram"]["ct"] == {}


def test_the_features_of_the_first_answer_are_made_anew():
    packed = answer(5, StC.STATS_1st_STATISTICS)
    packed[StC.STATS_FEATURES] = b"MUELLER"
    checked = checked_statistics(packed, 5, "site-1")
    names = fobs.loads(checked[StC.STATS_FEATURES])
    assert {feature.feature_name for feature in names["ct"]} == set(FEATURES)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {StC.STATISTICS_TASK_KEY: "other"},
        {**answer(5), "extra": b"scan"},
        {StC.STATISTICS_TASK_KEY: StC.STATS_2nd_STATISTICS},
        {
            StC.STATISTICS_TASK_KEY: StC.STATS_2nd_STATISTICS,
            StC.STATS_2nd_STATISTICS: b"MUELLER",
        },
        {
            StC.STATISTICS_TASK_KEY: StC.STATS_2nd_STATISTICS,
            StC.STATS_2nd_STATISTICS: fobs.dumps({"count": 1}),
        },
    ],
)
def test_another_form_is_refused(data):
    with pytest.raises(ConfigError, match="nothing was sent"):
        checked_statistics(data, 5, "site-1")


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram(HistogramType.STANDARD, [Bin(0.0, 1.0, 1.0)], "MUELLER"),
        Histogram(HistogramType.QUANTILES, [Bin(0.0, 1.0, 1.0)]),
    ],
)
def test_a_histogram_has_no_name_and_equal_bins(histogram):
    task = StC.STATS_2nd_STATISTICS
    content = {"count": {"ct": {"spacing_r": 9}}, "histogram": {"ct": {"spacing_r": histogram}}}
    data = {StC.STATISTICS_TASK_KEY: task, task: fobs.dumps(content)}
    with pytest.raises(ConfigError, match="cannot be read; nothing was sent"):
        checked_statistics(data, 5, "site-1")


def test_a_server_cannot_ask_for_finer_bins():
    own = FingerprintStatistics({}, ("ct",))
    with pytest.raises(ConfigError, match="other bins"):
        own.histogram("ct", "spacing_r", 100000, 0.7, 0.8)


def test_the_server_asks_for_every_feature_in_fixed_ranges():
    asked = statistic_configs()["histogram"]
    assert set(asked) == set(FEATURES)
    assert all(set(entry) == {"bins", "range"} for entry in asked.values())


@pytest.mark.parametrize("value", [0, -1, 2.5, "5", True, None])
def test_a_minimum_is_a_whole_number_from_one(value):
    with pytest.raises(ConfigError, match="min_cases"):
        checked_min_cases(value)


LACKING = {
    "no bins": lambda found: found["histogram"]["ct"].update(spacing_r=[]),
    "no bins of no case": lambda found: found["histogram"]["mr"].update(spacing_r=[]),
    "no histogram of a feature": lambda found: found["histogram"]["ct"].pop("spacing_r"),
    "no histogram at all": lambda found: found.pop("histogram"),
    "no count of a feature": lambda found: found["count"]["mr"].pop("spacing_r"),
    "no count of a modality": lambda found: found["count"].pop("mr"),
    "a feature of another modality": lambda found: found["count"]["mr"].update(organ_hu=0),
    "its histogram": lambda found: found["histogram"]["mr"].update(
        organ_hu=[(low, high, 0.0) for low, high in itertools.pairwise(EDGES["organ_hu"])]
    ),
}


@pytest.mark.parametrize("name", sorted(LACKING))
def test_the_server_takes_no_statistics_that_would_erase_those_of_others(name):
    second = StC.STATS_2nd_STATISTICS
    honest = checked_statistics(answer(5), 5, "site-1")  # of MR it has nothing to tell
    assert unpack(read_statistics(honest, second, ("ct", "mr"), 5)) == unpack(honest)
    _, found = unpack(honest)
    LACKING[name](found)
    with pytest.raises(ConfigError):
        read_statistics(pack(second, found), second, ("ct", "mr"), 5)
