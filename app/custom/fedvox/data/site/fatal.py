"""Cases that ended a site's process twice in a row; the run goes on without them."""

import json
from dataclasses import dataclass
from pathlib import Path

from fedvox.data.cases.in_work import InWork, read_work, record_work
from fedvox.files import PRIVATE, private_folder, write_json

IN_WORK = "in_work"
FATAL = "fatal.json"
ENDS = 2
"""Ends of the process, with a case as the only one in work, after which it is left out."""
REASON = (
    "it ended the site's process twice, while it was read or scored; 'fedvox check' looks at it. "
    "A change of its files brings it back"
)


@dataclass(frozen=True)
class Fatal:
    """What the ends of earlier processes say.

    Attributes:
        names: of prepared files, of cases to leave out.
        one_by_one: whether cases are to be prepared one at a time, so that an end names its case.
    """

    names: frozenset[str] = frozenset()
    one_by_one: bool = False


def watch_cases(state: Path, crashed: bool) -> Fatal:
    """Counts what the process before this one was ended by, and has this one's work kept.

    A case counts where it was the only one in work. What was in work with others is met again one
    at a time, and what is got through once is free of suspicion.

    Args:
        state: the site's state folder of this run.
        crashed: whether the process before was ended by a signal that nobody asks for.
    """
    ends = _read(state / FATAL)
    before = read_work(state / IN_WORK) if crashed else []
    if len(before) == 1:
        ends[before[0]] = ends.get(before[0], 0) + 1
        write_json(state / FATAL, ends, PRIVATE)
    out = frozenset(name for name, count in ends.items() if count >= ENDS)

    def survived(name: str) -> None:
        del ends[name]
        write_json(state / FATAL, ends, PRIVATE)

    private_folder(state)
    record_work(InWork(state / IN_WORK, set(ends) - out, survived))
    return Fatal(out, bool(before))


def _read(path: Path) -> dict[str, int]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
