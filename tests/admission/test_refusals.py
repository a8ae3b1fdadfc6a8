import dataclasses

import pytest
from registrations import GOOD, OUTSIDE, changed, mri

from fedvox.admission.refusals import nothing_counts, refusals
from fedvox.admission.registration import MAX_CASES, Registration


def judged(**sites: Registration) -> list[str]:
    return refusals(sites, "1.0.0", "abc", ("liver", "spleen"), ("ct", "mr"))


def test_fitting_sites_are_not_refused():
    assert judged(a=GOOD, b=mri(source="folder-2")) == []


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


def test_a_site_that_trains_nothing_of_what_it_was_admitted_with_is_named():
    (reason,) = nothing_counts("a", GOOD, mri())
    assert reason.startswith("a trains mr now, it was admitted with ct and no other case of it")
    assert nothing_counts("a", GOOD, changed(training={"ct": 1, "mr": 9})) == []
    assert nothing_counts("a", GOOD, OUTSIDE) == nothing_counts("a", OUTSIDE, GOOD) == []


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
