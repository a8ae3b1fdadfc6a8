"""A round holds what an update claims against what its site registered and weighs by the latter."""

import dataclasses

import numpy as np
import pytest

from fedvox.admission.registration import Registration
from fedvox.errors import UpdateRefused


def filled(model, value) -> dict[str, np.ndarray]:
    return {name: np.full_like(array, value) for name, array in model.items()}


@pytest.fixture
def restarted() -> Registration:
    """What a site holds that came back with one case more of each kind."""
    return Registration("1", "x", modalities=("ct",), training={"ct": 5}, validation={"ct": 3})


def test_a_site_that_gained_a_case_takes_part_with_its_first_weight(
    open_round, model, update_of, restarted
):
    current = open_round(
        "cases", registered={"a": {"ct": 4}, "b": {"ct": 4}}, validation={"a": {"ct": 2}}
    )
    claims = {"cases": 5, "modality": "ct", "validation": {"ct": (0.5, 3)}}
    current.accept(update_of("a", filled(model, 1.0), **claims), restarted)
    current.accept(update_of("b", filled(model, 3.0), cases=4))
    record = current.close()[1]
    assert [entry["weight"] for entry in record["contributors"]] == [0.5, 0.5]
    assert record["contributors"][0]["reason"] == "4 training cases"
    assert record["scores"] == {"a": {"ct": [0.5, 2]}}
    assert (record["refused"], record["notes"]) == ([], [])


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"cases": 6}, "claims 6 training cases, registered 5"),
        ({"modality": "ct,mr"}, "claims to be of ct,mr, registered training cases of ct"),
        ({"modality": "mr"}, "claims to be of mr, registered training cases of ct"),
        ({"modality": ""}, "claims to be of no modality, registered training cases of ct"),
    ],
)
def test_a_site_claims_no_more_than_it_holds_now(
    open_round, model, update_of, restarted, claims, reason
):
    current = open_round("cases", registered={"a": {"ct": 4}})
    with pytest.raises(UpdateRefused, match=reason):
        current.accept(update_of("a", filled(model, 1.0), **{"modality": "ct"} | claims), restarted)


def test_a_modality_that_a_site_only_tests_is_none_of_its_update(open_round, model, update_of):
    tests = Registration("1", "x", modalities=("ct", "mr"), training={"ct": 4}, test={"mr": 1})
    current = open_round("modality_first", registered={"a": {"ct": 4}})
    with pytest.raises(UpdateRefused, match="claims to be of ct,mr, registered training cases of"):
        current.accept(update_of("a", filled(model, 1.0), modality="ct,mr"), tests)
    current.accept(update_of("a", filled(model, 1.0), modality="ct"), tests)


def test_an_update_of_other_modalities_keeps_its_validation(
    open_round, model, update_of, restarted
):
    held = {"registered": {"a": {"ct": 4}}, "validation": {"a": {"ct": 2}}}
    current = open_round(**held)
    with pytest.raises(UpdateRefused, match="claims to be of mr"):
        wrong = {"modality": "mr", "validation": {"ct": (0.5, 2)}}
        current.accept(update_of("a", filled(model, 1.0), **wrong), restarted)
    assert current.close()[1]["scores"] == {"a": {"ct": [0.5, 2]}}


def test_modality_first_weighs_by_what_was_registered(open_round, model, update_of):
    held = {"a": {"ct": 100}, "b": {"ct": 60, "mr": 10}, "c": {"ct": 40}, "d": {}}
    current = open_round("modality_first", registered=held)
    for site, cases, claim in (("a", 100, "ct"), ("b", 70, ""), ("c", 40, "mr")):
        update = update_of(site, filled(model, 1.0), cases=cases, modality=claim)
        current.accept(dataclasses.replace(update, training={"mr": 10**6}))  # not its to say
    with pytest.raises(UpdateRefused, match="not registered"):
        current.accept(update_of("d", filled(model, 1.0), cases=1))
    weights = [entry["weight"] for entry in current.close()[1]["contributors"]]
    assert weights == pytest.approx([0.25, 0.15 + 0.5, 0.1])
