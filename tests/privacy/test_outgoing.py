"""Only weights, claims and reports of the known form may leave a site."""

import numpy as np
import pytest

from fedvox.errors import ConfigError
from fedvox.metrics.columns import forms
from fedvox.metrics.table import MetricRow, SharedSummary
from fedvox.privacy.outgoing import (
    check_report,
    check_same_model,
    check_travelling,
    check_weights,
    signature_of,
)
from fedvox.privacy.reports import ReportForm

JOB = ("ct", "mr", "t1", "flair")
CASE = "3f9a3f9a3f9a3f9a"
ROW = {"model": "global_last", "site": "ukb-Bonn_2", "case": CASE, "organ": "liver", "dice": 0.5}
ROW |= {"split": "test", "modality": "ct"}
MEAN = {"model": "global_last", "site": "ukb-Bonn_2", "organ": "mean", "dice_mean": 0.5}
MEAN |= {"split": "test", "modality": "t1", "cases": 3}
FORM = ReportForm(
    site="ukb-Bonn_2",
    model="global_last",
    structures=("liver", "kidney_left"),
    mean="mean",
    modalities=JOB,
    row_columns={name: forms(MetricRow)[name] for name in ROW},
    shared_columns={name: forms(SharedSummary)[name] for name in MEAN},
)


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


def test_reports_pass():
    check_report({"validation": {"ct": [0.5, 2]}, "rows": [ROW], "shared": []}, FORM, True)
    check_report({"validation": {}, "rows": [], "shared": [MEAN]}, FORM, False)


@pytest.mark.parametrize(
    "report",
    [
        {"image": [1]},
        {"rows": [{**ROW, "path": "x"}]},
        {"rows": [{**ROW, "case": "MUELLER ANNA"}]},
        {"rows": [{**ROW, "case": "DOE_JOHN-1960-01-31.nii.gz"}]},
        {"rows": [{**ROW, "case": "MUELLER"}]},
        {"rows": [{**ROW, "site": "19600131"}]},
        {"rows": [{**ROW, "site": "MUELLER"}]},
        {"rows": [{**ROW, "model": "MUELLER"}]},
        {"rows": [{**ROW, "organ": "MUELLER"}]},
        {"rows": [{**ROW, "organ": "MUELLER_7"}]},
        {"rows": [{**ROW, "dice": "Mueller"}]},
        {"rows": [{**ROW, "split": "Mueller"}]},
        {"validation": {"MUELLER": [0.5, 1]}},
        {"shared": [ROW]},
        "MUELLER",
    ],
)
def test_what_could_name_a_patient_is_refused_without_naming_it(report):
    with pytest.raises(ConfigError, match="nothing was sent") as caught:
        check_report(report, FORM, True)
    assert "mueller" not in str(caught.value).lower()


def test_the_policy_can_keep_rows_at_the_site():
    with pytest.raises(ConfigError, match="'share' to summary"):
        check_report({"rows": [ROW]}, FORM, False)


def test_tensors_that_stay_at_the_site_are_refused_without_their_names():
    check_travelling(["a", "b"], {"a", "b", "c"})
    with pytest.raises(ConfigError, match="hold 2 tensors that stay at the site; nothing was sent"):
        check_travelling(["a", "MUELLER", "b"], {"a"})
