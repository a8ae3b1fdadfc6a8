"""What a kind of fault is, and a trial of it: plant, check, follow the remedy, check again."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faults.room import CASES, FAULTY, Room
from fedvox.data.check.refusal import refusal
from fedvox.data.check.site import check_site
from fedvox.errors import FedVoxError
from fedvox.finding import FAIL, Finding

Change = Callable[[Room], object]
"""Plants a fault, or does what its remedy says."""
Found = tuple[str, Finding]
"""Who is blamed (a case's name, ``site`` or ``error``) and for what."""
ONE, ALL, SITE, ERROR = (FAULTY,), CASES, ("site",), ("error",)


def look(room: Room) -> list[Found]:
    """What ``fedvox check`` says; an error that ends it is a finding as well."""
    try:
        report = check_site(room.site, room.job)
    except FedVoxError as error:
        return [("error", refusal("error", error))]
    cases = zip(report.sources, report.cases, strict=True)
    found = [(case.id, problem) for case, seen in cases for problem in seen.problems]
    return found + [("site", problem) for problem in report.problems]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: of the kind.
        plant: changes a sound room.
        check: regular expression of the checks that must find it, ``error`` where it ends all.
        reason: regular expression that the message must match.
        remedy: regular expression that the remedy must match.
        mend: does literally what the remedy says.
        status: ``FAIL`` or ``WARN``.
        who: who must be blamed, and nobody else: ONE, ALL, SITE or ERROR.
        layout: of the room, see :mod:`faults.room`.
        beside: regular expression of further messages: of the site, of the case that is blamed, or
            of any case where the site is blamed.
        left: regular expression of the one message that stays after mending; empty: none does.
        look: what is asked.
    """

    name: str
    plant: Change
    check: str
    reason: str
    remedy: str
    mend: Change
    status: str = FAIL
    who: tuple[str, ...] = ONE
    layout: str = "plain"
    beside: str = ""
    left: str = ""
    look: Callable[[Room], list[Found]] = look


@dataclass(frozen=True)
class Trial:
    """How a kind fared.

    Attributes:
        reason: what was said of it; empty where it was missed or another was blamed.
        misleading: why its remedy is; empty where following it led to the right state.
        found: everything that was said, for who looks into a failure.
    """

    reason: str
    misleading: str
    found: Sequence[Found]


def trial(fault: Fault, room: Room) -> Trial:
    """Plants a fault in a sound room, and mends it as its remedy says.

    Args:
        fault: the kind.
        room: a sound one of the kind's layout; it is changed.
    """
    fault.plant(room)
    found = fault.look(room)
    named = [(who, p) for who, p in found if _is_named(fault, p)]
    others = [(who, p) for who, p in found if not _is_named(fault, p)]
    blamed = tuple(sorted({who for who, _ in named}))
    right = blamed == tuple(sorted(fault.who)) and all(_is_beside(fault, *o) for o in others)
    reason = f"{named[0][1].status} {named[0][1].message}" if named and right else ""
    return Trial(reason, _misleading(fault, room, named), found)


def _is_named(fault: Fault, problem: Finding) -> bool:
    found = re.search(fault.reason, problem.message)
    asked = re.fullmatch(fault.check, problem.check) and problem.status == fault.status
    return bool(found and asked)


def _is_beside(fault: Fault, who: str, problem: Finding) -> bool:
    known = bool(fault.beside) and bool(re.search(fault.beside, problem.message))
    return known and (fault.who in (SITE, ERROR) or who in (*fault.who, *SITE))


def _misleading(fault: Fault, room: Room, named: Sequence[Found]) -> str:
    """Follows the remedy; says what is wrong with it, if anything is."""
    texts = {problem.remedy for _, problem in named}
    if not texts or not all(re.search(fault.remedy, text) for text in texts):
        return f"not the remedy that is followed here: {sorted(texts)}"
    fault.mend(room)
    after = fault.look(room)
    if not fault.left:
        return f"afterwards: {after}" if after else ""
    expected = len(after) == 1 and re.search(fault.left, after[0][1].message)
    return "" if expected else f"afterwards: {after}"
