"""Log lines of a site are one line each and name nobody."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedvox.flare.logs import RedactingFormatter, RedactingJsonFormatter


@pytest.fixture(autouse=True)
def unguarded() -> Iterator[None]:
    """A formatter guards its process; the test's own goes on without."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    factory, raising = logging.getLogRecordFactory(), logging.raiseExceptions
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.setLogRecordFactory(factory)
    logging.raiseExceptions = raising


def record(message: str, *args: object, failing: bool = False) -> logging.LogRecord:
    info = None
    if failing:
        try:
            Path("/data/MUELLER/scan.nii.gz").read_bytes()
        except OSError:
            info = sys.exc_info()
    return logging.LogRecord("fedvox.x", logging.ERROR, __file__, 1, message, args, info)


def test_a_path_in_the_arguments_is_taken_out():
    line = RedactingFormatter("%(levelname)s %(message)s").format(record("no %s", "/d/MUELLER.nii"))
    assert line == "ERROR no <path>"


def test_a_traceback_becomes_one_line():
    line = RedactingFormatter("%(message)s").format(record("failed\nbadly", failing=True))
    assert line.startswith("failed | badly (FileNotFoundError at pathlib.py:")
    assert "MUELLER" not in line
    assert "\n" not in line


def test_the_json_log_is_redacted_too():
    formatter = RedactingJsonFormatter("%(name)s - %(levelname)s - %(message)s")
    line = formatter.format(record("no /data/MUELLER.nii", failing=True))
    assert "MUELLER" not in line
    assert json.loads(line)["message"].startswith("no <path> (FileNotFoundError")


def test_the_record_itself_stays_for_other_handlers():
    entry = record("no %s", "/data/x.nii")
    RedactingFormatter("%(message)s").format(entry)
    assert entry.getMessage() == "no /data/x.nii"
