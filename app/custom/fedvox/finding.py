"""What a check found, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fedvox.errors import FedVoxError

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of a machine, a kit, a site or a case.

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


def from_error(check: str, error: FedVoxError, default: str) -> Finding:
    """An error of ours as a finding that fails; its last clause is the remedy.

    Args:
        check: what was looked at.
        error: its message ends with a remedy after the last semicolon.
        default: the remedy where it names none.
    """
    message, _, remedy = str(error).rpartition("; ")
    return Finding(check, FAIL, message or remedy, remedy if message else default)


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
