"""Which statistics may leave a site."""

import copy

import pytest

from fedvox.errors import ConfigError
from fedvox.privacy.statistics import check_statistics

EDGES = {"size": [0.0, 1.0, 2.0]}
GOOD = {
    "count": {"ct": {"size": 7}},
    "failure_count": {"ct": {"size": 1}},
    "min": {"ct": {"size": 0.0}},
    "max": {"ct": {"size": 2.0}},
    "histogram": {"ct": {"size": [(0.0, 1.0, 2.5), (1.0, 2.0, 3.5)]}},
}


def changed(*path, value):
    statistics = copy.deepcopy(GOOD)
    target = statistics
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return statistics


def check(statistics):
    check_statistics(statistics, EDGES, ("ct",))


def test_the_known_form_passes():
    check(GOOD)
    check({"count": {"ct": {"size": 0}}})


@pytest.mark.parametrize(
    "statistics",
    [
        None,
        [],
        {"histogram": GOOD["histogram"]},
        changed("quantile", value={}),
        changed("count", value=3),
        changed("count", "Mueller", value={"size": 7}),
        changed("count", "ct", value="Mueller"),
        changed("count", "ct", "Mueller", value=7),
        changed("count", "ct", "size", value=7.0),
        changed("count", "ct", "size", value=-1),
        changed("count", "ct", "size", value=10**7),
        changed("count", "ct", "size", value=True),
        changed("failure_count", "ct", "size", value=8),
        changed("min", "ct", "size", value=0.3),
        changed("max", "ct", "size", value=1.9),
        changed("histogram", "ct", "size", value="Mueller"),
        changed("histogram", "ct", "size", value=[(0.0, 2.0, 6.0)]),
        changed("histogram", "ct", "size", value=[(0.0, 1.5, 3.0), (1.5, 2.0, 3.0)]),
        changed("histogram", "ct", "size", value=[(0.0, 1.0, 3.0), (1.0, 2.0, "x")]),
        changed("histogram", "ct", "size", value=[(0.0, 1.0, 3.0), (1.0, 2.0, 3.0, "x")]),
        changed("histogram", "ct", "size", value=[(0.0, 1.0, float("nan")), (1.0, 2.0, 3.0)]),
        changed("histogram", "ct", "size", value=[(0.0, 1.0, -1.0), (1.0, 2.0, 7.0)]),
        changed("histogram", "ct", "size", value=[(0.0, 1.0, 3.0), (1.0, 2.0, 4.0)]),
    ],
)
def test_everything_else_is_refused_without_its_content(statistics):
    with pytest.raises(ConfigError, match="nothing was sent") as error:
        check(statistics)
    assert "Mueller" not in str(error.value)


def test_more_cases_in_a_histogram_than_counted_are_refused():
    """Else a small group could pass the minimum-cases rule under a false count, or a large hide."""
    with pytest.raises(ConfigError, match="another number of cases than counted"):
        check(changed("count", "ct", "size", value=20))
