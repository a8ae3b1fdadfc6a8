import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.round_text import round_text
from fedvox.aggregation.store import UpdateStore
from fedvox.errors import UpdateRefused


def filled(model, value) -> dict[str, np.ndarray]:
    return {name: np.full_like(array, value) for name, array in model.items()}


def test_round_goes_on_without_a_refused_update(open_round, model, update_of):
    current = open_round("cases")
    current.accept(update_of("a", filled(model, 1.0), cases=1))
    with pytest.raises(UpdateRefused, match="not finite"):
        current.accept(update_of("b", filled(model, np.nan), cases=99))
    current.accept(update_of("c", filled(model, 5.0), cases=3))
    following, record = current.close()
    for array in following.values():
        np.testing.assert_array_equal(array, np.full_like(array, 4.0))
    assert [entry["site"] for entry in record["contributors"]] == ["a", "c"]
    assert [entry["site"] for entry in record["refused"]] == ["b"]
    assert "not finite" in record["refused"][0]["reason"]


def test_model_stays_as_it_was_when_all_updates_are_refused(open_round, model, update_of):
    model["bias"][:] = 7
    current = open_round()
    for site in ("b", "a"):
        with pytest.raises(UpdateRefused):
            current.accept(update_of(site, {}))
    following, record = current.close()
    for name, array in model.items():
        np.testing.assert_array_equal(following[name], array)
    assert record["contributors"] == []
    assert [entry["site"] for entry in record["refused"]] == ["a", "b"]


def test_record_says_who_contributed_how_much_and_why(open_round, model, update_of):
    current = open_round("cases")
    validation = {"ct": (0.5, 2), "mr": (0.25, 1)}
    claims = {"modality": "ct,mr", "loss": 0.75, "seconds": 1.23456}
    claims["data_wait"] = 0.0123456
    current.accept(update_of("b", filled(model, 2.0), cases=3, validation=validation, **claims))
    current.accept(update_of("a", filled(model, 0.0), cases=1, validation={"ct": (0.9, 2)}))
    record = current.close()[1]
    assert (record["round"], record["bytes_up"], record["bytes_down"]) == (0, 72, 72)
    assert record["seconds"] >= 0
    # ct: (0.5 * 2 + 0.9 * 2) / 4; rounding of binary fractions only
    assert record["validation"] == {"ct": pytest.approx(0.7), "mr": 0.25}
    assert record["scores"] == {"a": {"ct": [0.9, 2]}, "b": {"ct": [0.5, 2], "mr": [0.25, 1]}}
    assert 0 <= record["contributors"][1].pop("answer_seconds") <= record["seconds"]
    expected = {
        "site": "b",
        "modality": "ct,mr",
        "weight": 0.75,
        "reason": "3 training cases",
        "train_loss": 0.75,
        "val_dice": 0.375,
        "update_norm": 6.0,  # sqrt(9 values * 2²)
        "train_seconds": 1.235,
        "data_wait": 0.0123,
        "bytes_up": 36,
        "bytes_down": 36,
    }
    assert expected.items() <= record["contributors"][1].items()
    assert record["contributors"][0]["weight"] == 0.25
    json.dumps({key: record[key] for key in ("refused", "validation")}, allow_nan=False)


def test_site_without_validation_cases_has_no_dice(open_round, model, update_of):
    current = open_round()
    current.accept(update_of("a", filled(model, 1.0)))
    record = current.close()[1]
    assert record["contributors"][0]["val_dice"] is None
    assert record["validation"] == {}


def test_incoming_folder_is_empty_after_the_round(open_round, model, update_of, tmp_path):
    current = open_round()
    current.accept(update_of("a", filled(model, 1.0)))
    assert [p.name for p in (tmp_path / "incoming").rglob("*.safetensors")] == ["a.safetensors"]
    current.close()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_refused_update_is_never_written(open_round, model, update_of, tmp_path):
    with pytest.raises(UpdateRefused):
        open_round().accept(update_of("a", filled(model, np.inf)))
    assert not (tmp_path / "incoming").exists()


def test_duplicate_does_not_replace_the_first_update(open_round, model, update_of):
    current = open_round()
    current.accept(update_of("a", filled(model, 1.0)))
    with pytest.raises(UpdateRefused, match="duplicate"):
        current.accept(update_of("a", filled(model, 9.0)))
    following, record = current.close()
    np.testing.assert_array_equal(following["bias"], np.ones(3))
    assert len(record["contributors"]) == 1


def test_cases_are_held_against_the_registration(open_round, model, update_of):
    current = open_round("cases", registered={"a": {"ct": 3}})
    with pytest.raises(UpdateRefused, match="claims 4 training cases, registered 3"):
        current.accept(update_of("a", filled(model, 1.0), cases=4))


def test_who_did_not_register_has_no_weight_and_no_say(open_round, model, update_of):
    current = open_round("cases", registered={"a": {"ct": 4}}, validation={"a": {"ct": 2}})
    with pytest.raises(UpdateRefused, match="not registered: it was not admitted before this"):
        current.accept(update_of("late", filled(model, 9.0), cases=1, validation={"ct": (1.0, 1)}))
    current.accept(update_of("a", filled(model, 1.0), validation={"ct": (0.5, 2)}))
    following, record = current.close()
    np.testing.assert_array_equal(following["bias"], np.ones(3))
    assert record["registered"] == ["a"]
    assert (record["validation"], record["scores"]) == ({"ct": 0.5}, {"a": {"ct": [0.5, 2]}})


def test_with_the_rule_steps_only_the_job_s_steps_count(open_round, model, update_of):
    current = open_round("steps", registered={"a": {"ct": 4}, "b": {"ct": 9}}, steps=10)
    for claimed in (9, 11, 10**7, 0):
        with pytest.raises(UpdateRefused, match=f"claims {claimed} steps"):
            current.accept(update_of("b", filled(model, 9.0), steps=claimed))
    current.accept(update_of("a", filled(model, 1.0), steps=10))
    (entry,) = current.close()[1]["contributors"]
    assert (entry["site"], entry["weight"], entry["reason"]) == ("a", 1.0, "10 steps")


def test_where_minutes_may_end_a_round_fewer_steps_count_and_more_do_not(
    open_round, model, update_of
):
    current = open_round("steps", registered={"a": {"ct": 4}, "b": {"ct": 4}}, steps=10, fewer=True)
    with pytest.raises(UpdateRefused, match="claims 11 steps, the job's rounds have at most 10"):
        current.accept(update_of("b", filled(model, 9.0), steps=11))
    current.accept(update_of("a", filled(model, 1.0), steps=4))
    (entry,) = current.close()[1]["contributors"]
    assert (entry["steps"], entry["reason"]) == (4, "4 steps")


@pytest.mark.parametrize(
    "claims",
    [
        {"arrays": {"bias": np.full(3, np.nan, np.float32)}},
        {"arrays": {}},
        {"cases": 99},
        {"steps": 0},
    ],
    ids=["NaN", "empty", "cases", "steps"],
)
def test_a_refused_update_keeps_its_validation(open_round, model, update_of, claims):
    current = open_round("cases", registered={"a": {"ct": 4}}, validation={"a": {"mr": 2}})
    arrays = claims.pop("arrays", None)
    update = update_of("a", filled(model, 1.0) if arrays is None else arrays, **claims)
    with pytest.raises(UpdateRefused):
        current.accept(dataclasses.replace(update, validation={"mr": (0.5, 2)}))
    record = current.close()[1]
    assert record["contributors"] == []
    assert record["scores"] == {"a": {"mr": [0.5, 2]}}


def test_a_late_answer_s_validation_is_that_of_another_model(open_round, model, update_of):
    current = open_round(registered={"a": {"ct": 4}}, validation={"a": {"mr": 2}})
    with pytest.raises(UpdateRefused, match="stale"):
        current.accept(update_of("a", filled(model, 1.0), round=3, validation={"mr": (0.5, 2)}))
    assert current.close()[1]["scores"] == {}


def test_scores_that_were_not_registered_are_noted_and_do_not_count(open_round, model, update_of):
    held = {"a": {"ct": 2}, "evil": {"ct": 2}}
    current = open_round(registered={"a": {"ct": 4}, "evil": {"ct": 4}}, validation=held)
    current.accept(update_of("a", filled(model, 1.0), validation={"ct": (0.5, 2)}))
    claimed = {"pet": (1.0, 1), "ct": (1.0, 10**6), **{f"x{k}": (1.0, 9) for k in range(1000)}}
    current.accept(update_of("evil", filled(model, 1.0), validation=claimed))
    record = current.close()[1]
    assert record["validation"] == {"ct": 0.5}
    assert "evil: it validates 1000000 cases of 'ct', registered 2" in record["notes"][0]
    assert len(record["notes"]) <= 8
    assert [part["val_dice"] for part in record["contributors"]] == [0.5, None]


def test_a_mean_that_is_not_finite_leaves_the_model_as_it_was(open_round, model, update_of):
    current = open_round()
    current.aggregate = lambda model, read, weights: {
        name: np.full_like(array, np.inf) for name, array in model.items()
    }
    current.accept(update_of("a", filled(model, 1.0)))
    following, record = current.close()
    np.testing.assert_array_equal(following["bias"], model["bias"])
    assert record["contributors"] == []
    assert record["refused"] == [
        {"site": "a", "reason": "not finite: the mean of this round's updates overflows"}
    ]


def test_weights_are_read_tensor_by_tensor(open_round, model, update_of, monkeypatch):
    current = open_round()
    for site in ("b", "a"):
        current.accept(update_of(site, filled(model, 1.0)))
    reads, read = [], current.store.read
    monkeypatch.setattr(current.store, "read", lambda *key: reads.append(key) or read(*key))
    current.close()
    assert reads == [(0, site, name) for name in model for site in ("a", "b")]
    assert all(update.arrays == {} for update in current.accepted.values())


def test_memory_does_not_grow_with_the_number_of_sites(tmp_path, update_of):
    model = {f"layer.{i:02d}": np.zeros(2**17, np.float32) for i in range(16)}
    size = sum(array.nbytes for array in model.values())
    current = Round(0, model, UpdateStore(tmp_path), RoundRules("uniform"))
    for number in range(6):
        current.accept(update_of(f"site-{number}", filled(model, number)))
    tracemalloc.start()
    current.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the new model plus a few tensors in float64: far from the 6 models that lie on disk
    assert peak < 2 * size


def test_line_of_a_round_names_losses_validation_and_refusals(open_round, model, update_of):
    current = open_round()
    with pytest.raises(UpdateRefused):
        current.accept(update_of("c", {}))
    for site, loss in (("b", 0.5), ("a", 1.25)):
        current.accept(update_of(site, filled(model, 1.0), loss=loss, validation={"ct": (0.5, 1)}))
    record = current.close()[1] | {"seconds": 2.4}
    assert round_text(record, 8) == (
        "round 1 of 8: loss a 1.250, b 0.500; validation Dice before it ct 0.500; refused c; 2 s"
    )


def test_line_of_a_round_that_nobody_answered_says_so(open_round):
    record = open_round().close()[1] | {"seconds": 0.0}
    assert round_text(record, 2) == "round 1 of 2: loss none; validation Dice before it none; 0 s"


def test_registered_site_that_sent_nothing_is_named(open_round, model, update_of):
    current = open_round(registered={"a": {"ct": 5}, "b": {"ct": 5}, "c": {"ct": 5}})
    current.accept(update_of("a", filled(model, 1.0), cases=5))
    with pytest.raises(UpdateRefused):
        current.accept(update_of("c", {}, cases=5))
    record = current.close()[1]
    assert record["missing"] == ["b"]
    assert "nothing from b;" in round_text(record, 1)


def test_claimed_numbers_that_are_not_finite_are_kept_out_of_the_record(
    open_round, model, update_of
):
    current = open_round()
    current.accept(update_of("a", filled(model, 1.0), loss=float("nan"), seconds=float("inf")))
    record = current.close()[1]
    (entry,) = record["contributors"]
    assert (entry["train_loss"], entry["train_seconds"]) == (None, None)
    assert "loss a unknown" in round_text(record, 1)
    json.loads(json.dumps(record, allow_nan=False))
