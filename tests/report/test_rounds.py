import json
import math

import pytest

from fedvox.errors import ConfigError
from fedvox.report.rounds import mean_validation, number_of, read_rounds


def test_records_come_in_the_order_of_rounds_and_the_later_one_holds(tmp_path):
    path = tmp_path / "rounds.jsonl"
    records = [{"round": 1, "seconds": 1}, {"round": 0}, {"round": 1, "seconds": 2}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_rounds(path) == [{"round": 0}, {"round": 1, "seconds": 2}]


def test_cut_off_last_line_is_left_out(tmp_path):
    path = tmp_path / "rounds.jsonl"
    path.write_text('{"round": 0}\n{"round": 1, "seco')
    assert read_rounds(path) == [{"round": 0}]


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        '{"seconds": 1}',
        '{"round": null}',
        '{"round": 1, "contributors": ["a"]}',
        '{"round": 1, "refused": {"a": 1}}',
        '{"round": 1, "validation": [0.5]}',
        '{"round": 1, "notes": 3}',
    ],
)
def test_damage_before_the_last_line_names_the_line(tmp_path, broken):
    path = tmp_path / "rounds.jsonl"
    path.write_text(f'{{"round": 0}}\n{broken}\n{{"round": 2}}\n')
    with pytest.raises(ConfigError, match=r"rounds\.jsonl, line 2"):
        read_rounds(path)


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="file not found"):
        read_rounds(tmp_path / "rounds.jsonl")


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
