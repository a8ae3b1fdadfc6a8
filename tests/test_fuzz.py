"""Every door takes in or refuses what is thrown at it; the benchmark throws many more."""

import json

import pytest
from hypothesis import strategies as st

import fuzz
from fuzzing.door import Door


@pytest.mark.parametrize("name", sorted(fuzz.doors()))
def test_nothing_gets_through_a_door_but_what_it_promises(name, tmp_path):
    tally, crashes = fuzz.play(fuzz.doors()[name](tmp_path), 300, 1, name)
    assert crashes == []
    assert tally.outcomes["accepted"] and tally.outcomes["refused"]


def test_a_crash_is_told_with_its_place_and_the_smallest_input(monkeypatch, capsys):
    def broken(value: int) -> bool:
        if value > 4:
            raise KeyError("no such thing")
        return True

    door = Door(st.integers(0, 1000), broken)
    monkeypatch.setattr(fuzz, "doors", lambda: {"broken": lambda work: door})
    monkeypatch.setattr("sys.argv", ["fuzz.py", "--times", "100"])
    assert fuzz.main() == 1
    told = capsys.readouterr().out
    assert "broken: KeyError at test_fuzz.py" in told and "value=5" in told
    assert json.loads(told.splitlines()[-1])["crashes"] == 1


def test_memory_that_an_input_takes_is_a_crash_too(monkeypatch, capsys):
    door = Door(st.just(2**36), lambda size: bool(bytearray(size)))
    monkeypatch.setattr(fuzz, "doors", lambda: {"bomb": lambda work: door})
    monkeypatch.setattr("sys.argv", ["fuzz.py", "--times", "1"])
    assert fuzz.main() == 1
    assert "bomb: MemoryError" in capsys.readouterr().out
