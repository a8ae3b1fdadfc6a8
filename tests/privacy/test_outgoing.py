"""Only weights, claims and reports of the known form may leave a site."""

from dataclasses import fields

import numpy as np
import pytest

from fedvox.aggregation.update import Update
from fedvox.errors import ConfigError
from fedvox.flare.messages import claims_of
from fedvox.metrics.table import MetricRow, SharedSummary
from fedvox.privacy.outgoing import (
    check_claims,
    check_report,
    check_same_model,
    check_weights,
    signature_of,
)

COLUMNS = frozenset(("model", "site", "case", "organ", "dice"))
SHARED = frozenset(("model", "site", "organ", "dice_mean"))
CASE = "3f9a3f9a3f9a3f9a"
ROW = {"model": "global_last", "site": "site-1", "case": CASE, "organ": "liver", "dice": 0.5}
MEAN = {"model": "site-2", "site": "site-1", "organ": "kidney_left", "dice_mean": float("nan")}


def test_weights_of_any_float_type_pass():
    check_weights({"a.b.0.weight": np.zeros(3, np.float32), "bias": np.float16([1])})


@pytest.mark.parametrize(
    "data",
    [
        {},
        [np.zeros(3)],
        {"a": [1.0]},
        {"a": np.array(["MUELLER"])},
        {"a": np.zeros(3, np.int64)},
        {"/data/MUELLER": np.zeros(3)},
        {"a b": np.zeros(3)},
        {1: np.zeros(3)},
        {"a": np.zeros((0, 3), np.float32)},
    ],
)
def test_anything_else_among_weights_is_refused_without_naming_it(data):
    with pytest.raises(ConfigError, match="nothing was sent") as caught:
        check_weights(data)
    assert "MUELLER" not in str(caught.value)


MODEL = {"a.weight": np.zeros((2, 3), np.float32), "a.bias": np.zeros(2, np.float32)}


def test_other_numbers_of_the_same_tensors_are_the_same_model():
    trained = {name: array + 1 for name, array in reversed(MODEL.items())}
    check_same_model(trained, signature_of(MODEL))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MUELLER": np.zeros(1, np.float32)}, "tensors: 1 unknown"),
        ({"a.bias": None}, "tensors: 1 missing"),
        ({"a.bias": np.zeros(3, np.float32)}, "tensors: 1 of another shape"),
        ({"a.bias": np.zeros((2, 1), np.float32)}, "tensors: 1 of another shape"),
        ({"a.bias": np.zeros(2, np.float64)}, "tensors: 1 of another type"),
        ({"a.bias": np.zeros(2, ">f4")}, "tensors: 1 of another type"),
        (
            {"a.bias": None, "x": np.zeros(1), "a.weight": np.zeros((3, 2), np.float16)},
            "tensors: 1 unknown, 1 missing, 1 of another shape, 1 of another type",
        ),
    ],
)
def test_tensors_of_another_model_are_counted_and_not_named(change, words):
    weights = {name: array for name, array in (MODEL | change).items() if array is not None}
    with pytest.raises(ConfigError, match="nothing was sent") as caught:
        check_same_model(weights, signature_of(MODEL))
    assert words in str(caught.value)
    assert "MUELLER" not in str(caught.value)


@pytest.mark.parametrize("data", [None, {}, [np.zeros(2)], {"a": [0.5]}, {"a": "text"}])
def test_what_is_no_mapping_of_arrays_has_no_signature(data):
    assert signature_of(data) is None


def test_every_column_has_a_form():
    """Nothing that a table may hold is refused for lack of a form."""
    names = {field.name for cls in (MetricRow, SharedSummary) for field in fields(cls)}
    values = {"model": "global_best", "site": "site-1", "split": "val", "modality": "t1+flair"}
    values |= {"case": "phantom-" + CASE, "organ": "mean", "cases": 3, "gt_voxels": 512**3}
    values |= {"hd95_cases": 2, "nsd_cases": 3}
    numbers = dict.fromkeys(names - values.keys(), float("inf"))
    check_report({"rows": [values | numbers]}, True, frozenset(names), frozenset())


def test_claims_of_a_trained_update_pass():
    update = Update(
        "site-1", 3, {}, 24, 400, "ct,mr", float("nan"), 12.5, 0.01, {"ct": (0.5, 2)}, 10**8
    )
    check_claims(claims_of(update))


def test_claims_pass():
    check_claims({"cases": 3, "loss": 0.1, "modality": "t1+flair", "validation": {"ct": [0.5, 2]}})


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
        {"down_bytes": 10**13},
        {"modality": "ct" + ",mr" * 70_000},
        {"modality": 3},
        {"validation": {"ct": ["Hans_Mueller", 3]}},
        {"validation": {"ct": [0.5, 19531231]}},
        {"validation": {"ct": [2.0, 3]}},
        [1],
    ],
)
def test_unknown_claims_are_refused(claims):
    with pytest.raises(ConfigError, match="nothing was sent"):
        check_claims(claims)


def test_a_report_passes():
    check_report(
        {"validation": {"ct": [0.5, 2]}, "rows": [ROW], "shared": [MEAN]}, True, COLUMNS, SHARED
    )


@pytest.mark.parametrize(
    "report",
    [
        {"image": [1]},
        {"rows": [{**ROW, "path": "x"}]},
        {"rows": [{**ROW, "case": "MUELLER ANNA"}]},
        {"rows": ["x"]},
        {"shared": [ROW]},
        {"rows": [{**ROW, "case": "DOE_JOHN-1960-01-31.nii.gz"}]},
        {"rows": [{**ROW, "case": "MUELLER"}]},
        {"rows": [{**ROW, "site": "19600131"}]},
        {"rows": [{**ROW, "dice": 10**4000}]},
        {"rows": [{**ROW, "dice": 1e300}]},
        {"validation": {"MUELLER": [0.5, 1]}},
        {"shared": [{**ROW, "organ": ["liver"]}]},
        {"rows": [{**ROW, "dice": "Mueller"}]},
        {"rows": [{**ROW, "dice": 1.5}]},
        {"rows": [{**ROW, "split": "Mueller"}]},
        {"rows": None},
        {"rows": {"dice": 1}},
        {"shared": 3},
        "x",
    ],
)
def test_unknown_parts_of_a_report_are_refused(report):
    with pytest.raises(ConfigError, match="nothing was sent"):
        check_report(report, True, COLUMNS, SHARED)


def test_the_policy_can_keep_rows_at_the_site():
    check_report({"rows": [], "shared": [MEAN]}, False, COLUMNS, SHARED)
    with pytest.raises(ConfigError, match="'share' to summary"):
        check_report({"rows": [ROW]}, False, COLUMNS, SHARED)
