import json

import pytest
from registrations import GOOD, OUTSIDE, changed

from fedvox.admission.registration import LONGEST_ERROR, re_registered, registration_from
from fedvox.errors import ConfigError


def test_registration_survives_its_journey():
    travelled = json.loads(json.dumps(GOOD.to_dict()))
    assert registration_from(travelled, "a") == GOOD


def test_a_long_reason_of_several_lines_travels_shortened_and_is_read():
    told = changed(error="first\nsecond " + "x" * 5000).to_dict()
    read = registration_from(told, "a").error
    assert len(read) == LONGEST_ERROR and read.startswith("first second")


def test_newer_site_may_tell_more_than_the_server_knows():
    assert registration_from({**GOOD.to_dict(), "gpus": 8}, "a") == GOOD


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"version": "1.0.0"},
        {**GOOD.to_dict(), "modalities": 5},
        {**GOOD.to_dict(), "training": "many"},
        {**GOOD.to_dict(), "version": None},
        {**GOOD.to_dict(), "error": ["x"]},
        {**GOOD.to_dict(), "validation": [4]},
        {**GOOD.to_dict(), "validation": {"ct": "many"}},
        {**GOOD.to_dict(), "validation": {"ct": -1}},
        {**GOOD.to_dict(), "validation": {"ct": True}},
        {**GOOD.to_dict(), "test": {5: 4}},
        {**GOOD.to_dict(), "test": {f"m{k}": 1 for k in range(100)}},
        {**GOOD.to_dict(), "error": "x" * 10**6},
        {**GOOD.to_dict(), "error": "no data\x1b[2J"},
        {**GOOD.to_dict(), "version": "1.0.0\n"},
        {**GOOD.to_dict(), "version": "1" * 10**6},
        {**GOOD.to_dict(), "source": "=cmd()"},
        {**GOOD.to_dict(), "modalities": "ct"},
        {**GOOD.to_dict(), "modalities": ["ct"] * 10**6},
        {**GOOD.to_dict(), "modalities": [["ct"]]},
        {**GOOD.to_dict(), "modalities": ["xx"]},
        {**GOOD.to_dict(), "annotated": ["<b>heart</b>"]},
        {**GOOD.to_dict(), "annotated": ["liver", "liver"]},
        {**GOOD.to_dict(), "training": {"ct": True}},
        {**GOOD.to_dict(), "training": {"ct": -1}},
        {**GOOD.to_dict(), "training": {"ct": 10**9}},
        {**GOOD.to_dict(), "training": {"ct": 10**5000}},
        {**GOOD.to_dict(), "validation": {"ct": 2.5}},
        {**GOOD.to_dict(), "validation": {"xx": 1}},
        {**GOOD.to_dict(), "validation": [["ct", 1]]},
        {**GOOD.to_dict(), "test": {"ct": 10**9}},
        {**GOOD.to_dict(), "test": {"ct": -1}},
        {**GOOD.to_dict(), "phantom": 1},
    ],
)
def test_unreadable_registration_is_an_error_that_names_site_and_remedy(values):
    with pytest.raises(ConfigError, match="site-7 sent no readable registration; update its fed"):
        registration_from(values, "site-7")


def test_a_site_that_registers_again_never_counts_more_than_at_first():
    again = changed(
        training={"ct": 9, "mr": 9}, validation={"ct": 1, "mr": 50}, test={"ct": 9}, skipped=2
    )
    now = re_registered(GOOD, again)
    assert (now.training, now.validation, now.test, now.skipped) == (
        {"ct": 5},
        {"ct": 1},
        {"ct": 3},
        2,
    )
    assert re_registered(GOOD, GOOD) == GOOD


def test_training_cases_are_counted_by_modality():
    own = changed(modalities=("ct", "mr"), training={"mr": 2, "ct": 3, "t1": 0}, test={"mr": 9})
    assert (own.cases, own.trained) == (5, ["ct", "mr"])


@pytest.mark.parametrize("turned", [False, True])
def test_who_only_tests_does_not_train_later_in_the_run(turned):
    first, again = (GOOD, OUTSIDE) if turned else (OUTSIDE, GOOD)
    now = re_registered(first, again)
    assert now.external and (now.training, now.validation) == ({}, {})
