import math

import pytest

from fedvox.report.records.rounds import mean_validation, number_of


def test_missing_numbers_are_nan():
    assert math.isnan(number_of({"a": None}, "a"))
    assert math.isnan(number_of({}, "a"))
    assert number_of({"a": 2}, "a") == 2.0


def test_mean_validation_leaves_out_what_is_missing():
    assert mean_validation({"validation": {"ct": 0.4, "mr": 0.6, "t1": None}}) == pytest.approx(0.5)
    assert math.isnan(mean_validation({"validation": {}}))
    assert math.isnan(mean_validation({}))


def test_mean_over_fewer_modalities_than_the_run_has_is_no_mean_of_the_run():
    assert math.isnan(mean_validation({"validation": {"ct": 0.9}}, ["ct", "mr"]))
    assert math.isnan(mean_validation({"validation": {"ct": 0.9, "mr": None}}, ["ct", "mr"]))
    assert mean_validation({"validation": {"ct": 0.4, "mr": 0.6}}, ["ct", "mr"]) == 0.5
