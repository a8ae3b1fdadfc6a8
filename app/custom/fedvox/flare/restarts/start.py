"""What a job's process knows of its own start, and what it tells its launcher of its progress."""

import os
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path

from fedvox.files import write_text

RESTARTS = "FEDVOX_RESTARTS"
"""Environment variable: how often this job's process was started again before."""
SIGNAL = "FEDVOX_SIGNAL"
"""Environment variable: the signal that ended the process before, as a number."""
PROGRESS = "fedvox_progress"
"""File in the run's folder; its content changes with each task that ended well."""
FINISHED = "finished"
"""What it says once everything is written that the run promises."""


@dataclass(frozen=True)
class Start:
    """One start of a job's process.

    Attributes:
        id: differs from start to start.
        restarts: starts of this job here before, by the launcher.
        signal: that ended the last one, 0 for none.
    """

    id: str
    restarts: int
    signal: int


def own_start() -> Start:
    """This process's start."""
    return Start(uuid.uuid4().hex, _number(RESTARTS), _number(SIGNAL))


def crashed(start: Start) -> bool:
    """Whether the process before was ended by a signal that nobody sends to end it in order."""
    return start.signal not in (0, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def note_progress(run_dir: Path, text: str) -> None:
    """Tells the launcher that the job got further: restarts count anew from here.

    Args:
        run_dir: the run's folder at this server or site.
        text: what is done, another one each time.
    """
    write_text(run_dir / PROGRESS, text)


def read_progress(run_dir: Path) -> str:
    """What the job's process noted last, empty when nothing."""
    try:
        return (run_dir / PROGRESS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
