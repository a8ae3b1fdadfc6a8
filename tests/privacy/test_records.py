"""A record leaves its patient behind; what an operator needs stays."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from nvflare.apis.fl_exception import UnsafeComponentError

from fedvox.errors import DataError
from fedvox.privacy.records import guard_process, redacted


def record(message: object, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("fedvox.x", logging.ERROR, __file__, 7, message, args, info)


def text_while_handling(error: BaseException, message: str) -> str:
    try:
        raise error
    except type(error):
        return redacted(record(message)).getMessage()


@pytest.mark.parametrize(
    "error",
    [
        DataError("Miller's case has no label; add one"),
        UnsafeComponentError("component Miller is not allowed"),
        ConnectionRefusedError(111, "Miller refused"),
        ImportError("no module called Miller"),
    ],
)
def test_our_errors_and_those_of_flare_and_the_network_keep_their_text(error):
    assert redacted(record("%s", error)).getMessage() == str(error)
    assert text_while_handling(error, f"failed: {error}") == f"failed: {error}"


@pytest.mark.parametrize(
    "error", [ValueError("bad Miller"), KeyError("Miller"), OSError(5, "of Miller", "Miller")]
)
def test_any_other_error_loses_it_wherever_it_is_quoted(error):
    assert "Miller" not in redacted(record("no %s", error)).getMessage()
    assert "Miller" not in text_while_handling(error, f"no {error} and {error!r}")
    assert "Miller" not in redacted(record(f"{type(error).__name__}: {error}")).getMessage()


def test_a_message_that_quotes_no_error_is_left_alone_while_one_is_handled():
    assert text_while_handling(KeyError("ab"), "round 2 of 6 is late") == "round 2 of 6 is late"


def test_a_record_is_redacted_once():
    clean = redacted(record("in %s", "/data/Miller"))
    assert clean.getMessage() == "in <path>"
    assert redacted(clean).getMessage() == "in <path>"
    clean.fl_ctx = "[file=/data/Miller]"  # as `extra` does
    assert "Miller" not in redacted(clean).fl_ctx


def test_an_error_whose_text_breaks_is_still_its_kind():
    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError("Miller")

    assert redacted(record("failed", error=Odd())).getMessage().startswith("failed (Odd at")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/opt/lib/x.py:12: UserWarning: of Miller\n  warn(m)\n", "UserWarning at x.py:12"),
        ("C:\\lib\\x.py:12: UserWarning: Miller", "UserWarning at x.py:12"),
        ("Miller is odd", "a warning"),
    ],
)
def test_a_warning_is_its_kind_and_place(text, left):
    entry = logging.LogRecord("py.warnings", logging.WARNING, "", 1, "%s", (text,), None)
    assert redacted(entry).getMessage() == left


@pytest.fixture
def guarded() -> Iterator[None]:
    """A guarded process, as it was before afterwards."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    factory, raising = logging.getLogRecordFactory(), logging.raiseExceptions
    guard_process()
    guard_process()
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.setLogRecordFactory(factory)
    logging.raiseExceptions = raising


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("Miller"), "uncaught ValueError at unknown place [b6276ba7]"),
        (DataError("no label; add one"), "no label; add one"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_what_a_guarded_process_prints_at_its_end(guarded, capsys, error, line):
    sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"{line}\n"


def test_any_handler_of_a_guarded_process_gets_clean_records(guarded, caplog):
    logging.getLogger("fedvox.x").error("no %s", "/data/Miller")
    assert caplog.messages == ["no <path>"]
