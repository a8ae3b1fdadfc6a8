"""What a check found, and what to do about it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from fedvox.errors import FedVoxError
from fedvox.privacy.redaction import exception_line

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its name, one word.
        status: ``PASS``, ``WARN`` (works, will hurt) or ``FAIL`` (does not work).
        message: what was found; no patient's file name.
        remedy: what to do, empty for ``PASS``.
    """

    check: str
    status: str
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain types for JSON."""
        return asdict(self)


def passed(check: str, message: str) -> Finding:
    """A check without complaint."""
    return Finding(check, PASS, message)


def run_check(check: str, function: Callable[[], Finding]) -> Finding:
    """Runs a check; an error of ours is a ``FAIL`` whose last clause is the remedy."""
    try:
        return function()
    except FedVoxError as error:
        message, _, remedy = str(error).rpartition("; ")
        return Finding(check, FAIL, message or remedy, remedy if message else "see the message")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding(check, FAIL, f"cannot be checked ({reason})", "mend the path or its rights")
    except Exception as error:  # a broken driver, say; its message may hold a file name
        return Finding(
            check, FAIL, f"breaks with {exception_line(error)}", "report this line to us"
        )


def worst(findings: Sequence[Finding]) -> str:
    """The most serious status."""
    order = (PASS, WARN, FAIL)
    return max((finding.status for finding in findings), key=order.index, default=PASS)


def table(findings: Sequence[Finding]) -> str:
    """One line per finding and one more per remedy, for a terminal."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status}  {finding.check:{width}s}  {finding.message}")
        if finding.remedy:
            lines.append(f"{'':{width + 6}s}  -> {finding.remedy}")
    return "\n".join(lines)
