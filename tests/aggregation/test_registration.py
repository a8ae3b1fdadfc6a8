import dataclasses
import json

import pytest

from fedvox.aggregation.registration import (
    LONGEST_ERROR,
    MAX_CASES,
    Registration,
    nothing_counts,
    re_registered,
    refusals,
    registration_from,
)
from fedvox.errors import ConfigError

GOOD = Registration(
    version="1.0.0",
    label_map="abc",
    annotated=("liver", "spleen"),
    modalities=("ct",),
    training={"ct": 5},
    validation={"ct": 2},
    test={"ct": 3},
    source="folder-1",
)


def judged(**sites: Registration) -> list[str]:
    return refusals(sites, "1.0.0", "abc", ("liver", "spleen"), ("ct", "mr"))


def changed(**values: object) -> Registration:
    return dataclasses.replace(GOOD, **values)


def mri(**values: object) -> Registration:
    return changed(
        **{"modalities": ("mr",), "training": {"mr": 5}, "validation": {"mr": 2}, "test": {}}
        | values
    )


def test_fitting_sites_are_not_refused():
    assert judged(a=GOOD, b=mri(source="folder-2")) == []


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


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            changed(version="0.9.0"),
            "clinic runs fedvox 0.9.0, the server 1.0.0; install the same version",
        ),
        (
            changed(label_map="xyz"),
            "clinic has another label map; submit the job again to all sites",
        ),
        (changed(training={}), "clinic: no usable training case; check its site file"),
        (
            changed(modalities=("ct", "t1+flair")),
            "clinic holds flair, t1, the job uses ct, mr; change 'data.modalities' or leave the "
            "site out",
        ),
        (
            changed(modalities=("ct", "ct+mr")),
            "clinic holds cases of ct+mr, each case of the job is of ct or mr; mend 'modalities' "
            "in its site file or leave the site out",
        ),
        (
            changed(validation={"ct": 2, "mr": 1}),
            "clinic registers cases of mr, which is not among its modalities; "
            "update its fedvox or leave the site out",
        ),
        (
            changed(training={"ct": 5, "mr": 1}),
            "clinic registers cases of mr, which is not among its modalities; update its fedvox or "
            "leave the site out",
        ),
        (
            changed(test={"ct+mr": 1, "mr+ct": 1}),
            "clinic registers cases of ct+mr, mr+ct, which is not among its "
            "modalities; update its fedvox or leave the site out",
        ),
        (changed(error="no disk; make room"), "clinic: no disk; make room"),
        (changed(error="clinic: no disk; make room"), "clinic: no disk; make room"),
        (
            changed(annotated=("liver",)),
            "no site annotates spleen; take it out of 'data.organs' or add a site that does",
        ),
    ],
)
def test_refusal_names_the_site_and_the_remedy(own, message):
    assert judged(clinic=own) == [message]


def test_other_version_hides_what_follows_from_it():
    (message,) = judged(a=changed(version="2.0.0", label_map="xyz", training={}, error="boom"))
    assert "2.0.0" in message
    assert "1.0.0" in message


def test_every_unfit_site_is_named_in_name_order():
    messages = judged(b=changed(training={}), a=changed(version="0.1"), c=GOOD)
    assert [message[0] for message in messages] == ["a", "b"]


def test_one_folder_read_by_two_sites_is_refused():
    (message,) = judged(b=GOOD, a=GOOD)
    assert message.startswith("a and b read the same data folder; give each its own")
    assert "FEDVOX_SITE=" in message


@pytest.mark.parametrize("sources", [("x", "x"), ("x-1", "x"), ("x", "x-1"), ("x-1", "x-1")])
def test_a_site_that_tests_on_the_folder_of_another_is_refused(sources):
    trains, tests = sources
    only_tests = changed(source=tests, training={}, validation={}, external=True)
    (message,) = judged(a=changed(source=trains), b=only_tests)
    assert message.startswith("a and b read the same data folder")


def test_parts_of_one_folder_are_sites_of_their_own():
    assert judged(**{name: changed(source=f"x-{name}") for name in "abcd"}) == []


def test_sites_that_do_not_tell_their_folder_are_not_compared():
    assert judged(a=changed(source=""), b=changed(source="")) == []


def test_organ_that_one_site_annotates_is_enough():
    sites = {"a": changed(annotated=("liver",)), "b": changed(annotated=("spleen",), source="2")}
    assert judged(**sites) == []


@pytest.mark.parametrize(
    "values",
    [
        {"training": {"ct": 10**9}},
        {"training": {"ct": MAX_CASES, "mr": 1}},
        {"validation": {"ct": 10**9}},
        {"test": {"ct": MAX_CASES + 1}},
    ],
)
def test_more_cases_than_a_site_may_register_are_refused(values):
    (message,) = judged(evil=changed(**values))
    assert f"at most {MAX_CASES} may count" in message and message.startswith("evil registers")


def test_largest_site_may_register():
    assert judged(a=changed(training={"ct": MAX_CASES})) == []


@pytest.mark.parametrize(
    "own", [changed(training={"ct": 51}), mri(validation={"mr": 51}), mri(test={"mr": 51})]
)
def test_a_job_may_say_how_many_cases_a_site_can_have(own):
    args = ("1.0.0", "abc", ("liver", "spleen"), ("ct", "mr"), 50)
    (message,) = refusals({"evil": own}, *args)
    assert message.startswith("evil registers 51 cases, at most 50 may count ('training.most_ca")
    assert refusals({"a": changed(training={"ct": 50})}, *args) == []


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


def test_a_site_that_trains_nothing_of_what_it_was_admitted_with_is_named():
    (reason,) = nothing_counts("a", GOOD, mri())
    assert reason.startswith("a trains mr now, it was admitted with ct and no other case of it")
    assert nothing_counts("a", GOOD, changed(training={"ct": 1, "mr": 9})) == []
    assert nothing_counts("a", GOOD, OUTSIDE) == nothing_counts("a", OUTSIDE, GOOD) == []


def test_training_cases_are_counted_by_modality():
    own = changed(modalities=("ct", "mr"), training={"mr": 2, "ct": 3, "t1": 0}, test={"mr": 9})
    assert (own.cases, own.trained) == (5, ["ct", "mr"])


OUTSIDE = changed(training={}, annotated=(), validation={}, external=True, source="folder-2")


def test_a_site_that_only_tests_is_admitted_beside_one_that_trains():
    assert judged(a=GOOD, outside=OUTSIDE) == []


def test_a_job_that_no_site_trains_is_refused_with_the_remedy():
    (message, *_) = judged(b=OUTSIDE, a=dataclasses.replace(OUTSIDE, source="folder-3"))
    assert message.startswith("no site trains: a, b only test (their 'split' says so); add a site")
    assert "fedvox evaluate" in message
    assert refusals({"b": OUTSIDE}, "1.0.0", "abc", (), ("ct",)) == []  # others may still come


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"external": False}, "clinic: no usable training case; check its site file"),
        ({"test": {}}, "clinic only tests and has no usable test case; check its site file"),
        ({"test": {"ct": 0}}, "clinic only tests and has no usable test case; check its site file"),
        (
            {"training": {"ct": 1}},
            "clinic says that it only tests and registers cases to train or to choose",
        ),
        ({"validation": {"ct": 1}}, "clinic says that it only tests and registers cases to train"),
        ({"modalities": ("mr",), "test": {"mr": 3}}, "clinic holds mr, the job uses ct"),
        ({"version": "0.1"}, "clinic runs fedvox 0.1"),
    ],
)
def test_what_an_external_site_must_be(values, message):
    own = dataclasses.replace(OUTSIDE, **values)
    (found,) = refusals({"clinic": own, "a": GOOD}, "1.0.0", "abc", ("liver",), ("ct",))
    assert found.startswith(message)


@pytest.mark.parametrize("turned", [False, True])
def test_who_only_tests_does_not_train_later_in_the_run(turned):
    first, again = (GOOD, OUTSIDE) if turned else (OUTSIDE, GOOD)
    now = re_registered(first, again)
    assert now.external and (now.training, now.validation) == ({}, {})
