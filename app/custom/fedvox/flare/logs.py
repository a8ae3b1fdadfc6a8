"""Log formatters for a site's ``log_config.json``: FLARE's own, redacted.

FLARE reads that file first of all in each of its processes, so the first formatter also guards the
process: uncaught exceptions, warnings, and handlers that are configured later.
"""

import logging
from typing import Any

from nvflare.fuel.utils.log_utils import BaseFormatter, JsonFormatter

from fedvox.privacy.records import guard_process, redacted


class _Redacting(logging.Formatter):
    """A formatter of FLARE, mixed in behind it, that gets redacted records only.

    Args:
        args: ``fmt`` and the other arguments of FLARE's formatter.
        kwargs: the same by name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        guard_process()

    def format(self, record: logging.LogRecord) -> str:
        """One line, or one JSON object."""
        return str(super().format(redacted(record)))


class RedactingFormatter(_Redacting, BaseFormatter):
    """FLARE's text format; paths, names of image files, dates and long numbers are taken out."""


class RedactingJsonFormatter(_Redacting, JsonFormatter):
    """FLARE's JSON format, redacted alike."""
