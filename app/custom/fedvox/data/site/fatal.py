"""Cases that ended a site's process twice in a row; the run goes on without them."""

import json
from dataclasses import dataclass
from pathlib import Path

from fedvox.data.cases.in_work import STEP, InWork, read_work, record_work
from fedvox.errors import DataError
from fedvox.files import PRIVATE, private_folder, write_json

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


NONE = Fatal()


def watch_cases(state: Path, job_id: str, crashed: bool) -> Fatal:
    """Counts what the process before this one was ended by, and has this one's work kept.

    A case counts where it was the only one in work; what was in work with others is met again one
    at a time. Once a task has ended well, :func:`absolve` forgets what was counted.

    Args:
        state: the site's state folder of this run.
        job_id: of the job, of which another one may go on with the same run.
        crashed: whether the process before was ended by a signal that nobody asks for.

    Raises:
        DataError: what was counted is damaged.
    """
    path = state / f"in_work_{job_id}"
    ends = _read(state / FATAL)
    before = read_work(path) if crashed else []
    if len(before) == 1 and before[0] != STEP:
        ends[before[0]] = ends.get(before[0], 0) + 1
        write_json(state / FATAL, ends, PRIVATE)
    private_folder(state)
    record_work(InWork(path))
    return Fatal(frozenset(_condemned(ends)), bool(before))


def absolve(state: Path) -> None:
    """Forgets the cases that ended a process once: a task went well with them.

    Args:
        state: the site's state folder of this run.
    """
    ends = _read(state / FATAL)
    if ends != (left := _condemned(ends)):
        write_json(state / FATAL, left, PRIVATE)


def _condemned(ends: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in ends.items() if count >= ENDS}


def _read(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    try:
        return {str(name): int(count) for name, count in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError):
        raise DataError(f"the state folder's {path.name} is damaged; delete it") from None
