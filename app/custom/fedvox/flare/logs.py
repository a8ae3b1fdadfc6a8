"""Log formatters for a site's ``log_config.json``: FLARE's own, redacted."""

import copy
import logging

from nvflare.fuel.utils.log_utils import BaseFormatter, JsonFormatter

from fedvox.privacy.redaction import exception_line, redact


def redacted(record: logging.LogRecord) -> logging.LogRecord:
    """A copy of a record whose message is redacted and whose traceback is one line."""
    clean = copy.copy(record)
    text = redact(record.getMessage())
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text} ({exception_line(record.exc_info[1])})"
    clean.msg, clean.args = text.replace("\n", " | "), None
    clean.exc_info, clean.exc_text, clean.stack_info = None, None, None
    return clean


class RedactingFormatter(BaseFormatter):
    """FLARE's text format; paths, names of image files, dates and long numbers are taken out."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return str(super().format(redacted(record)))


class RedactingJsonFormatter(JsonFormatter):
    """FLARE's JSON format, redacted alike."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        return str(super().format(redacted(record)))
