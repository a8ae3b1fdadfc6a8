import json

import pytest

from fedvox.aggregation.rounds_file import read_rounds
from fedvox.errors import ConfigError


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
        '{"round": 1000000000}',
        '{"round": -1}',
        '{"round": 1.0}',
        '{"round": Infinity}',
        '{"round": 1, "bytes_up": -5}',
        '{"round": 1, "bytes_up": "many"}',
        f'{{"round": 1, "seconds": {"9" * 400}}}',
        '{"round": 1, "contributors": [{"site": ["a"]}]}',
        f'{{"round": 1, "notes": {"[" * 100_000}}}',
    ],
)
def test_damage_before_the_last_line_names_the_line(tmp_path, broken):
    path = tmp_path / "rounds.jsonl"
    path.write_text(f'{{"round": 0}}\n{broken}\n{{"round": 2}}\n')
    with pytest.raises(ConfigError, match=r"rounds\.jsonl, line 2"):
        read_rounds(path)


def test_what_an_editor_adds_is_no_damage(tmp_path):
    path = tmp_path / "rounds.jsonl"
    path.write_text('\ufeff{"round": 0}\n\n{"round": 1}\n')
    assert read_rounds(path) == [{"round": 0}, {"round": 1}]


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="file not found"):
        read_rounds(tmp_path / "rounds.jsonl")
