"""Log records, uncaught exceptions and warnings of a process that works with patients' files.

A formatter redacts what its handler writes. :func:`guard_process` goes to the source: whatever
handlers somebody configures later, each record is redacted when it is made.
"""

import builtins
import copy
import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from fedvox.errors import FedVoxError
from fedvox.privacy.redaction import exception_line, redact

_TRACEBACK = re.compile(r"\s*Traceback \(most recent call last\):.*", re.DOTALL)
_WARNING = re.compile(r"^(?:.*[/\\])?([^/\\\n]+):(\d+): (\w+): ")
"""As ``logging.captureWarnings`` writes it: file, line, kind and what was said."""
_TELLING = (FedVoxError, ConnectionError, TimeoutError, ImportError)
"""Kinds whose text names a machine or a module; FLARE's own are another, told by their module."""
_SILENT = "|".join(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _TELLING)
)
_QUOTED = re.compile(rf"\b({_SILENT}): [^\n]+")
"""As FLARE writes exceptions into messages."""
_FREE = ("name", "fullName", "fl_ctx", "identity", "threadName", "processName", "taskName")
"""Fields beside the message that a log's format may print."""
_SHORTEST = 4
"""Letters of an exception's text below which it is not searched for in a message."""


def redacted(record: logging.LogRecord) -> logging.LogRecord:
    """A copy of a record without what may name a patient; its message is redacted only once.

    The message is redacted. An exception, as argument, as ``exc_info``, or quoted in the message
    while it is handled, becomes its kind, place and fingerprint, and so does a traceback. Of a
    warning its kind and place are left. Errors of ours, of FLARE and of the network keep their
    text, redacted: it tells the operator which class or connection was refused.
    """
    clean = copy.copy(record)
    if not getattr(record, "fedvox_redacted", False):
        error = record.exc_info[1] if record.exc_info else None
        text = _message(record, error or sys.exc_info()[1])
        if error is not None:
            text = f"{text} ({exception_line(error)})"
        clean.msg, clean.args = text.replace("\r", "").replace("\n", " | "), None
        clean.exc_info, clean.exc_text, clean.stack_info = None, None, None
        clean.fedvox_redacted = True
    for name in _FREE:  # always: what `extra` names is added after the record is made
        if getattr(clean, name, None):
            setattr(clean, name, redact(str(getattr(clean, name))))
    return clean


def _message(record: logging.LogRecord, error: BaseException | None) -> str:
    """The record's message, redacted, without the text of the exception in work."""
    plain = copy.copy(record)
    plain.msg = _without_text(record.msg)
    arguments = record.args
    if isinstance(arguments, tuple):
        plain.args = tuple(_without_text(value) for value in arguments)
    elif arguments:
        plain.args = {key: _without_text(value) for key, value in arguments.items()}
    try:
        text = plain.getMessage()
    except Exception as problem:  # logging itself would print the arguments to stderr
        place = f"{Path(record.pathname).name}:{record.lineno}"
        return f"a log line at {place} cannot be written ({type(problem).__name__})"
    if record.name == "py.warnings":
        return _warning(text)
    for part in _texts(error):
        text = text.replace(part, "...")
    line = f" ({exception_line(error)})" if error is not None and not record.exc_info else ""
    text = _TRACEBACK.sub(lambda _: line or " (traceback)", text)
    return redact(_QUOTED.sub(r"\1: ...", text))


def _without_text(value: Any) -> Any:
    """An exception as one line, anything else as it is."""
    if isinstance(value, BaseException) and not _is_telling(value):
        return exception_line(value)
    return value


def _is_telling(error: BaseException) -> bool:
    room = type(error).__module__.partition(".")[0]
    return isinstance(error, _TELLING) or room in ("nvflare", "grpc", "ssl")


def _texts(error: BaseException | None) -> Iterator[str]:
    """What an exception, its notes and those before it say, longest first."""
    found: set[str] = set()
    seen: list[BaseException | None] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
        if not _is_telling(one):
            found |= {*_own_texts(one), *map(str, getattr(one, "__notes__", ()))}
    yield from sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True)


def _own_texts(error: BaseException) -> set[str]:
    try:
        parts = (*error.args, getattr(error, "filename", None), getattr(error, "filename2", None))
        return {str(error), repr(error), *(str(part) for part in parts if part is not None)}
    except Exception:  # an exception's own __str__ may break
        return set()


def _warning(text: str) -> str:
    found = _WARNING.match(text)
    return f"{found[3]} at {found[1]}:{found[2]}" if found else "a warning"


def guard_process() -> None:
    """Redacts every log record of this process, and what Python prints of uncaught exceptions.

    FLARE's console commands can replace a site's handlers with others that do not redact; records
    made after this call are clean already, but for fields that ``extra`` adds, which only our
    formatters clean. Calling it again changes nothing.
    """
    logging.setLogRecordFactory(_make_record)
    logging.raiseExceptions = False  # else a handler that fails prints the record to stderr
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def _make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    return redacted(logging.LogRecord(*args, **kwargs))


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, FedVoxError):
        _say(redact(str(error)))
    elif issubclass(kind, KeyboardInterrupt):
        _say("stopped")
    else:
        _say(f"uncaught {exception_line(error.with_traceback(trace))}")


def _in_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value is not None and not issubclass(uncaught.exc_type, SystemExit):
        _say(f"uncaught in a thread: {exception_line(uncaught.exc_value)}")


def _unraisable(uncaught: "sys.UnraisableHookArgs") -> None:
    if uncaught.exc_value is not None:
        _say(f"ignored {exception_line(uncaught.exc_value)}")


def _say(text: str) -> None:
    if sys.stderr is not None:
        print(text.replace("\n", " | "), file=sys.stderr, flush=True)
