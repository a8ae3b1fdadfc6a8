"""Each kind of fault in the corpus is named with its reason, and mended as its remedy says."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from faults import FAULTS, LAYOUTS
from faults.fault import look, trial
from faults.room import FAULTY, Room, Rooms
from faults.sound import SOUND
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import check_site


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    return Rooms(tmp_path_factory.mktemp("rooms"))


def seen(room: Room) -> CaseReport:
    """The report of the case in which faults and oddities are planted."""
    report = check_site(room.site)
    (found,) = [r for case, r in zip(report.sources, report.cases) if case.id == FAULTY]
    return found


@pytest.fixture(scope="module")
def before(rooms: Rooms) -> Callable[[str], CaseReport]:
    """A function from a layout to that report before anything was changed."""
    return cache(lambda layout: seen(rooms.make(layout)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sound_room_draws_no_word(rooms, layout):
    assert look(rooms.make(layout)) == []


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_oddity_draws_no_word_and_the_organs_keep_their_size(rooms, before, kind):
    layout, change = SOUND[kind]
    room = rooms.make(layout)
    change(room)
    assert look(room) == []
    found, expected = seen(room), before(layout)
    assert found.organs_ml == pytest.approx(expected.organs_ml, rel=1e-4)
    assert found.spacing == pytest.approx(expected.spacing, rel=1e-2)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_fault_is_named_and_its_remedy_leads_to_a_sound_site(rooms, kind):
    fault = FAULTS[kind]
    result = trial(fault, rooms.make(fault.layout))
    assert result.reason, result.found
    assert not result.misleading


def test_a_remedy_in_other_words_or_that_leaves_a_finding_is_misleading(rooms):
    fault = FAULTS["label shape"]
    other = replace(fault, remedy="align the affines")
    assert "not the remedy" in trial(other, rooms.make("plain")).misleading
    idle = replace(fault, mend=lambda room: None)
    assert "afterwards" in trial(idle, rooms.make("plain")).misleading


def test_a_fault_of_which_another_case_is_blamed_counts_as_missed(rooms):
    fault = replace(FAULTS["label shape"], who=("s0001",))
    assert trial(fault, rooms.make("plain")).reason == ""
    first, second = FAULTS["misspelt organ"].plant, FAULTS["NaN"].plant
    more = replace(FAULTS["NaN"], plant=lambda room: (first(room), second(room)))
    assert trial(more, rooms.make("plain")).reason == ""
