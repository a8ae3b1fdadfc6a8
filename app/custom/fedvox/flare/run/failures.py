"""What a site says of a task that failed: kinds and places, never a file name."""

import builtins
import errno
import re
from functools import cache
from pathlib import Path

import fedvox
from fedvox import errors
from fedvox.errors import FedVoxError
from fedvox.job.device import out_of_memory
from fedvox.privacy.redaction import exception_line

_KIND = re.compile(r"(?P<kind>[A-Za-z]{1,40})(?: at (?P<file>[a-z_0-9]{1,40}\.py):\d{1,5})?")
_KINDS = {
    name
    for room in (builtins, errors)
    for name, kind in vars(room).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}


def failure_line(site: str, error: BaseException, task: str) -> str:
    """A failed task in one line that begins with the site's name and may leave the site."""
    text = failure_text(error, task)
    return text if text.startswith(f"{site}: ") else f"{site}: {text}"


def failure_text(error: BaseException, task: str) -> str:
    """A failed task in one line that may leave the site.

    The message of a foreign exception may hold a file name; its kind and where it arose do not.
    """
    if isinstance(error, FedVoxError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the site's disk in task {task}; free some"
    if out_of_memory(error):
        return (
            f"memory ran out in task {task}; lower data.patch (windows are computed one at a "
            "time), or end other programs"
        )
    return f"task {task} failed with {exception_line(error)}; see docs/hospital-it.md"


def failure_kind(error: BaseException) -> str:
    """What failed, for the server's records: the kind, and the place if it is in this package."""
    kind = "MemoryError" if out_of_memory(error) else type(error).__name__
    place = exception_line(error).partition(" at ")[2].partition(" [")[0]
    told = f"{kind} at {place}"
    return told if checked_kind(told) == told else checked_kind(kind) or "Exception"


def checked_kind(told: object) -> str:
    """The part of a failure's kind that may leave a site: a known kind, a file of this package.

    Args:
        told: what a task's answer says; a job's own code may have written it.

    Returns:
        As :func:`failure_kind` gives it, empty where nothing of it is known.
    """
    found = _KIND.fullmatch(told) if isinstance(told, str) else None
    if found is None or found["kind"] not in _KINDS:
        return ""
    return str(told) if found["file"] in _own_files() else found["kind"]


@cache
def _own_files() -> frozenset[str]:
    return frozenset(path.name for path in Path(fedvox.__file__).parent.rglob("*.py"))
