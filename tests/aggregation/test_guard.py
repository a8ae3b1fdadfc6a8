"""Updates held against each other: too long ones, suspended sites, a model that collapsed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.guard import GUARD, judge
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.screening_settings import ScreeningSettings
from fedvox.errors import ConfigError

USUAL = ScreeningSettings()
OPEN = {"a": 1.0, "b": 1.2, "c": 0.8}


def after(*rounds: dict[str, float], settings=USUAL, memory=None):
    """The judgement of the last of some rounds."""
    memory = memory or Memory()
    for lengths in rounds:
        found = judge(lengths, [], memory, settings)
        memory = memory.extended(found.memory)
    return found


def test_usual_updates_count_whole():
    found = after(OPEN, OPEN)
    assert found.shares == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert not found.refused and not found.notes


@pytest.mark.parametrize("lengths", [{"a": 1.0}, {"a": 1.0, "b": 500.0}])
def test_a_first_round_of_fewer_than_three_is_not_judged(lengths):
    assert set(after(lengths).shares) == set(lengths)


@pytest.mark.parametrize("others", [{}, {"b": 1.0}, {"b": 1.0, "c": 1.0}])
def test_one_that_is_a_thousand_times_too_long_is_refused(others):
    found = after(OPEN, others | {"a": 1000.0})
    assert set(found.shares) == set(others)
    assert found.refused["a"].startswith("length: 1000 times the running median")


def test_a_long_one_is_shortened_to_the_bound_and_counts_as_that_long():
    found = after(OPEN, {"a": 4.0, "b": 1.0, "c": 1.0})
    assert found.shares == {"a": 0.75, "b": 1.0, "c": 1.0}
    assert found.memory.numbers[GUARD]["lengths"][-1] == [3.0, 1.0, 1.0]


def test_updates_that_all_grow_are_taken():
    """A schedule that starts anew makes every site's steps longer; nobody is odd then."""
    found = after(OPEN, {"a": 10.0, "b": 12.0, "c": 8.0})
    assert not found.refused


def test_the_median_spans_the_last_rounds_only():
    short = ScreeningSettings(rounds=2)
    found = after(OPEN, *[{"a": 0.01}] * 2, {"a": 1.0}, settings=short)
    assert found.refused


def test_an_odd_update_does_not_hide_behind_the_long_ones_of_the_first_round():
    found = after(OPEN, {"a": 0.1, "b": 0.12, "c": 1.2})
    assert list(found.refused) == ["c"]


def test_zero_switches_a_bound_off():
    found = after(OPEN, {"a": 4.0, "b": 1.0}, settings=ScreeningSettings(clip=0))
    assert found.shares["a"] == 1.0
    found = after(OPEN, {"a": 1000.0, "b": 1.0}, settings=ScreeningSettings(refuse=0))
    assert found.shares["a"] == pytest.approx(0.003)


def test_updates_that_change_nothing_are_no_measure():
    found = after({"a": 0.0, "b": 0.0, "c": 0.0}, OPEN)
    assert set(found.shares) == set(OPEN)
    assert after(OPEN, {"a": 0.0, "b": 0.0, "c": 1.0}).shares["c"] == 1.0


def test_two_refusals_in_a_row_suspend_and_two_good_ones_bring_back():
    bad, told = OPEN | {"a": 900.0}, []
    memory = Memory()
    for lengths in (OPEN, bad, OPEN, bad, bad, OPEN, bad, OPEN, OPEN, OPEN):
        found = judge(lengths, [], memory, USUAL)
        memory = memory.extended(found.memory)
        told.append(found)
    counts = ["a" in own.shares for own in told]
    assert counts == [True, False, True, False, False, False, False, False, False, True]
    assert [number for number, own in enumerate(told) if own.notes] == [4, 8]
    assert told[4].notes[0].startswith("a is suspended after 2 refused updates in a row")
    assert told[8].notes == ["a is no longer suspended: its next update counts"]
    assert told[5].refused["a"] == "suspended: good updates in a row 1, counts again after 2"


def test_what_is_refused_for_what_it_holds_suspends_too():
    memory = Memory()
    for _ in range(2):
        found = judge({"b": 1.0, "c": 1.0}, ["a"], memory, USUAL)
        memory = memory.extended(found.memory)
    assert found.notes
    assert "a" not in judge(OPEN, [], memory, USUAL).shares


def test_a_site_that_misses_rounds_keeps_its_standing():
    away = {"b": 1.0, "c": 1.0}
    found = after(OPEN, OPEN | {"a": 900.0}, away, away, OPEN | {"a": 900.0})
    assert found.notes


def test_nobody_is_suspended_where_the_job_says_so():
    bad = OPEN | {"a": 900.0}
    found = after(OPEN, bad, bad, bad, OPEN, settings=ScreeningSettings(suspend=0))
    assert "a" in found.shares


@given(
    honest=st.lists(st.floats(0.7, 1.4), min_size=2, max_size=6),
    factor=st.floats(20.0, 1e30),
    rounds=st.integers(1, 6),
)
def test_one_odd_site_never_counts_nor_takes_an_honest_one_with_it(honest, factor, rounds):
    lengths = {f"s{number}": own for number, own in enumerate(honest)}
    memory = judge(lengths | {"odd": 1.0}, [], Memory(), USUAL).memory
    for _ in range(rounds):
        found = judge(lengths | {"odd": factor}, [], memory, USUAL)
        memory = memory.extended(found.memory)
        assert set(found.shares) == set(lengths)
        assert all(share == 1.0 for share in found.shares.values())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"clip": 0.5}, "screening.clip"),
        ({"refuse": 0.5}, "screening.refuse"),
        ({"clip": 6.0}, "what is refused cannot be shortened"),
    ],
)
def test_bounds_that_make_no_sense_are_named(values, named):
    with pytest.raises(ConfigError, match=named):
        ScreeningSettings(**values)


def played(open_round, update_of, model, *rounds, best=lambda: None, **options):
    """Closes rounds of three sites that send these steps; gives the last model and all records."""
    options = {"screening": USUAL} | options
    memory, records, state = Memory(), [], dict(model)
    held = {site: {"ct": 4} for site in "abc"}
    for number, (steps, dice) in enumerate(rounds):
        current = open_round(
            memory=memory, registered=held, validation=held, best=best, index=number, **options
        )
        current.model = state
        for site, step in steps.items():
            arrays = {
                name: (array + np.float32(step)).astype(array.dtype)
                for name, array in state.items()
            }
            claims = {"validation": {"ct": (dice, 4)}} if dice else {}
            current.accept(update_of(site, arrays, round=number, **claims))
        state, record = current.close()
        memory = current.memory
        records.append(record)
    return state, records


STEPS = {"a": 0.1, "b": 0.1, "c": 0.1}


def test_a_round_with_a_bad_update_is_the_round_of_the_others(open_round, update_of, model):
    bad = STEPS | {"c": -100.0}
    state, records = played(
        open_round, update_of, model, (STEPS, 0), (bad, 0), (bad, 0), (STEPS, 0)
    )
    for name, array in model.items():
        np.testing.assert_allclose(state[name], array + np.float32(0.4), rtol=1e-5)
    assert [len(record["contributors"]) for record in records] == [3, 2, 2, 2]
    assert [entry["site"] for record in records for entry in record["refused"]] == ["c"] * 3
    assert records[1]["missing"] == []
    assert any("c is suspended" in note for note in records[2]["notes"])


def test_a_shortened_update_says_so_in_the_record(open_round, update_of, model):
    long = STEPS | {"c": 0.4}
    state, records = played(open_round, update_of, model, (STEPS, 0), (long, 0))
    assert [entry["clip"] for entry in records[1]["contributors"]] == pytest.approx([1, 1, 0.75])
    for name, array in model.items():
        expected = array + np.float32(0.1 + (0.1 + 0.1 + 0.3) / 3)
        np.testing.assert_allclose(state[name], expected, rtol=1e-5)


def test_a_collapsed_model_is_left_for_the_best_before(open_round, update_of, model):
    good = {name: array + np.float32(7) for name, array in model.items()}
    rounds = ((STEPS, 0.8), (STEPS, 0.2), (STEPS, 0.8))
    state, records = played(open_round, update_of, model, *rounds, best=lambda: good)
    for name, array in good.items():
        np.testing.assert_allclose(state[name], array + np.float32(0.1), rtol=1e-5)
    assert [record["rolled_back"] for record in records] == [False, True, False]
    assert records[1]["contributors"] == [] and records[1]["missing"] == []
    assert "below 0.5 of the best so far at 3 of 3 sites" in records[1]["notes"][0]


def test_without_an_earlier_model_the_run_goes_on(open_round, update_of, model):
    _, records = played(open_round, update_of, model, (STEPS, 0.8), (STEPS, 0.2))
    assert not records[1]["rolled_back"] and records[1]["contributors"]
