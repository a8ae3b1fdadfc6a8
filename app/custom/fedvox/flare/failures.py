"""What a site says of a task that failed: kinds and places, never a file name."""

from fedvox.errors import FedVoxError
from fedvox.privacy.redaction import exception_line
from fedvox.training.halving import out_of_memory


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
    if out_of_memory(error):
        return (
            f"memory ran out in task {task}; lower data.patch (windows are computed one at a "
            "time), or end other programs"
        )
    return f"task {task} failed with {exception_line(error)}; see docs/hospital-it.md"
