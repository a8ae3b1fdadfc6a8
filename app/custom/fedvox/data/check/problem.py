"""What is wrong with a case or a site, and what to do about it."""

from dataclasses import dataclass

from fedvox.data.images.modality import IS_CT, NAME_OR_EXPORT
from fedvox.errors import FedVoxError

WARN, FAIL = "WARN", "FAIL"
REMEDIES = {
    IS_CT: "leave such cases out; if all are so, name 'ct' under 'modalities' in the site file",
    NAME_OR_EXPORT: "leave out what is no CT, and export CTs again in HU; if all are MRI, the site "
    "file names the wrong modality",
}
"""Where a site of many cases asks for another remedy than a single scan."""


@dataclass(frozen=True)
class Problem:
    """One thing that a check found.

    Attributes:
        check: what was looked at, one word.
        status: ``WARN`` (look at it) or ``FAIL`` (refused: training would leave the case out).
        message: what was found; no patient's file name.
        remedy: what to do.
    """

    check: str
    status: str
    message: str
    remedy: str


def refusal(check: str, error: FedVoxError) -> Problem:
    """An error of ours as a problem; its last clause is the remedy."""
    message, _, remedy = str(error).rpartition("; ")
    remedy = REMEDIES.get(remedy, remedy)
    return Problem(check, FAIL, message or remedy, remedy if message else "export the case again")
