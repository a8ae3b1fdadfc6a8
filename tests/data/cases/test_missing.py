from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.cases.case import Case
from fedvox.data.cases.missing import (
    missing_channels,
    missing_counts,
    missing_words,
    never_found,
)
from fedvox.data.settings import DataSettings

CHANNELS = ("t1", "t1ce", "t2", "flair")
STRICT = DataSettings(("liver",), modalities=CHANNELS, channels=CHANNELS)
JOB = DataSettings(("liver",), modalities=CHANNELS, channels=CHANNELS, missing_channels=True)
SOME = st.lists(st.sampled_from(CHANNELS), unique=True).map(tuple)


def case_of(*held: str) -> Case:
    return Case("a", "a", {name: Path(name) for name in held}, ())


def test_what_a_case_lacks_stands_in_the_jobs_order():
    assert missing_channels(case_of("t2", "t1"), JOB) == ("t1ce", "flair")
    # a case of no image lacks what it may not, and is refused
    assert missing_channels(case_of(), JOB) == ()


@pytest.mark.parametrize("settings", [None, STRICT, DataSettings(("liver",))])
def test_where_nothing_may_be_missing_nothing_is_told_as_missing(settings):
    assert missing_channels(case_of("t2"), settings) == ()
    assert missing_counts([()], settings) == {}


@given(st.lists(SOME, max_size=6))
def test_counts_are_of_all_cases_and_name_no_channel_that_all_have(missing):
    counts = missing_counts(missing, JOB)
    assert sum(counts.values()) == sum(map(len, missing)) and 0 not in counts.values()
    assert list(counts) == [name for name in CHANNELS if name in counts]


def test_the_line_says_how_many_cases_lack_what_and_is_empty_otherwise():
    words = missing_words({"t1ce": 40, "flair": 3}, 40)
    assert words == "missing, as the job allows: t1ce in 40, flair in 3 of 40 cases"
    assert missing_words({"t2": 1}, 1).endswith("t2 in 1 of 1 case")
    assert missing_words({}, 40) == ""


def test_what_the_site_file_lists_and_no_case_has_is_told():
    problem, remedy = never_found({"t1ce": 3, "flair": 3}, 3, ("flair", "t1", "t2"), JOB)
    assert problem == "the site file lists flair, and no case has such an image"
    assert "take flair out of 'modalities'" in remedy


@pytest.mark.parametrize(
    ("counts", "held"),
    [
        ({"flair": 2}, CHANNELS),  # one case has it
        ({"flair": 3}, ("t1", "t1ce", "t2")),  # the site file does not list it
        (dict.fromkeys(CHANNELS, 3), CHANNELS),  # each case is refused for it
        ({}, CHANNELS),
    ],
)
def test_otherwise_nothing_is_said_of_the_site(counts, held):
    assert never_found(counts, 3, held, JOB) is None
    assert never_found(counts, 3, held, None) is None
