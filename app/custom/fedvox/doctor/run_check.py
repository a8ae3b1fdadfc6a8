"""Runs one of the doctor's checks; whatever breaks in it is a finding too."""

from collections.abc import Callable

from fedvox.errors import FedVoxError
from fedvox.finding import FAIL, Finding, from_error
from fedvox.privacy.redaction import exception_line


def run_check(check: str, function: Callable[[], Finding]) -> Finding:
    """Runs a check; an error of ours is a ``FAIL`` whose last clause is the remedy."""
    try:
        return function()
    except FedVoxError as error:
        return from_error(check, error, "see the message")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding(check, FAIL, f"cannot be checked ({reason})", "mend the path or its rights")
    except Exception as error:  # a broken driver, say; its message may hold a file name
        return Finding(
            check, FAIL, f"breaks with {exception_line(error)}", "report this line to us"
        )
