"""A claim is declared once; what a site packs, a filter and a server check and a record follow."""

import dataclasses
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.claims import (
    Claims,
    check_claims,
    claims_of,
    read_claims,
    recorded,
)
from fedvox.aggregation.update import Update
from fedvox.privacy.forms import MOST, FormError

JOB = ("ct", "mr", "t1", "flair")
UPDATE = Update(
    site="site-1",
    round=3,
    arrays={},
    cases=24,
    steps=400,
    modality="ct,mr",
    loss=0.75,
    seconds=12.34567,
    data_wait=0.0123456,
    quality=0.875,
    validation={"ct": (0.5, 2)},
    epsilon=1.23456,
    delta=1e-5,
    unit="case",
)


def test_what_a_site_claims_comes_back_at_the_server():
    travelled = json.loads(json.dumps(claims_of(UPDATE)))
    assert Update(site="site-1", arrays={}, **read_claims(travelled, JOB)) == UPDATE


@given(
    cases=st.integers(0, MOST),
    loss=st.floats(-1e9, 1e9),
    data_wait=st.floats(0, 1),
    validation=st.dictionaries(
        st.sampled_from(JOB), st.tuples(st.floats(0, 1), st.integers(0, MOST))
    ),
)
def test_whatever_has_its_form_passes_the_check_and_comes_back(cases, loss, data_wait, validation):
    own = replace(UPDATE, cases=cases, loss=loss, data_wait=data_wait, validation=validation)
    travelled = json.loads(json.dumps(claims_of(own)))
    assert Update(site="site-1", arrays={}, **read_claims(travelled, JOB)) == own


def test_every_field_of_claims_and_no_other_travels():
    assert list(claims_of(UPDATE)) == [field.name for field in dataclasses.fields(Claims)]
    assert all(callable(f.metadata["form"]) or f.metadata["form"].make(JOB) for f in fields())


def fields():
    return dataclasses.fields(Claims)


def test_the_record_holds_claims_under_their_keys_rounded_and_without_nan():
    told = {"modality": "ct,mr", "train_loss": 0.75, "train_seconds": 12.346, "data_wait": 0.0123}
    told |= {"epsilon": 1.2346, "delta": 1e-5, "unit": "case"}
    assert told.items() <= recorded(UPDATE).items()
    silent = Update(site="a", arrays={})
    told = {"modality": "", "train_loss": None, "train_seconds": 0.0, "data_wait": None}
    assert told.items() <= recorded(silent).items()
    noise = {"epsilon", "delta", "unit"}
    assert not noise & recorded(silent).keys()  # a run without noise has no column


def test_a_number_that_is_none_is_read_as_not_a_number():
    known = read_claims({"loss": None, "validation": {"ct": [1.0 + 1e-12, 2]}}, JOB)
    assert math.isnan(known["loss"]) and known["validation"] == {"ct": (1.0, 2)}


def test_claims_of_a_trained_update_pass():
    check_claims(claims_of(UPDATE), JOB)


def test_claims_pass():
    claims = {"cases": 3, "loss": 0.1, "modality": "flair,t1", "validation": {"ct": [0.5, 2]}}
    check_claims(claims, JOB)


@pytest.mark.parametrize(
    "claims",
    [
        {"patients": 3},
        {"modality": "Anna Mueller"},
        {"modality": "/data"},
        {"cases": [1, 2]},
        {"cases": {"a": 1}},
        {"validation": {"ct": [0.5, 2, "x"]}},
        {"validation": {"a b": [0.5, 2]}},
        {"validation": [1]},
        {"cases": "Mueller_Hans"},
        {"cases": 3.5},
        {"cases": True},
        {"cases": None},
        {"steps": 19531231},
        {"steps": -1},
        {"seconds": 1e14},
        {"data_wait": 19531231},
        {"data_wait": "x"},
        {"loss": "x"},
        {"quality": 1.5},
        {"quality": -0.1},
        {"quality": None},
        {"quality": float("nan")},
        {"quality": float("inf")},
        {"quality": True},
        {"quality": "0.5"},
        {"quality": [0.5]},
        {"modality": "ct" + ",mr" * 70_000},
        {"modality": 3},
        {"validation": {"ct": ["Hans_Mueller", 3]}},
        {"validation": {"ct": [0.5, 19531231]}},
        {"validation": {"ct": [2.0, 3]}},
        {"validation": {"ct": [None, 3]}},
        {"modality": "t2"},
        {"modality": "ct,ct"},
        {"modality": "t1+flair"},
        {"validation": {"ct+mr": [0.5, 2]}},
        [1],
    ],
)
def test_unknown_claims_are_refused(claims):
    with pytest.raises(FormError):
        check_claims(claims, JOB)


def test_quality_is_1_where_a_site_says_none_and_never_more():
    assert Update(site="a", arrays={}).quality == 1.0
    assert recorded(Update(site="a", arrays={}))["quality"] == 1.0
    assert read_claims({"quality": 1.0 + 1e-12}, JOB) == {"quality": 1.0}
    assert read_claims({"quality": 1}, JOB) == {"quality": 1.0}
