"""A site's process in which everything says a patient's name; run by test_log_handlers.py.

Arguments: folder to log into, the site's log configuration, and FLARE's mode of logging that
somebody switches to with ``configure_site_log``, or ``own``.
"""

import gc
import json
import logging
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

from nvflare.fuel.utils.log_utils import apply_log_config, dynamic_log_config
from nvflare.security.logging import secure_format_exception, secure_log_traceback

NAME, NUMBER, DATE = "Quastenbauer Xanthippe", "4711081547", "1955-03-17"
FILE = f"/data/{NAME}_{NUMBER}/{DATE}/scan.nii.gz"
TEXT = f"cannot use {NAME}, born {DATE}, number {NUMBER}, in {FILE}"
logger = logging.getLogger("fedvox.leaky")


class Careless:
    def __str__(self) -> str:
        return FILE


class Broken:
    def __str__(self) -> str:
        raise ValueError(TEXT)

    __repr__ = __str__


class Dropped:
    def __del__(self) -> None:
        raise ValueError(TEXT)


def fail() -> None:
    """Raises with the words in message, notes, cause and context."""
    try:
        try:
            raise KeyError(NAME)
        except KeyError as error:
            raise OSError(5, TEXT, FILE) from error
    except OSError as cause:
        failure = ExceptionGroup(TEXT, [ValueError(TEXT), RuntimeError(NAME)])
        failure.add_note(f"note on {NAME}")
        raise failure from cause


def plant_plain() -> None:
    """Messages, arguments of every form, other fields."""
    logger.error("plant-path %s", FILE)
    logger.error("plant-name-with-number %s", "Quastenbauer_Xanthippe_19550317_4711081547")
    logger.error("plant-table %(file)s", {"file": FILE})
    logger.error("plant-object %s", Careless())
    logger.error("plant-list %s", [FILE, Path(FILE)])
    logger.error("plant-error-as-argument %s", ValueError(TEXT))
    logger.error("plant-stack", stack_info=True)
    logging.getLogger(FILE).error("plant-logger")
    logger.error(ValueError(TEXT))
    logger.error("%d of %s", NAME, FILE)
    logger.error("%s", Broken())
    warnings.warn(TEXT, stacklevel=1)


def plant_fields() -> None:
    """Fields that ``extra`` adds; FLARE adds none."""
    logger.error("plant-field", extra={"fl_ctx": f"[file={FILE}]", "identity": FILE})
    logger.error("plant-object-field", extra={"fl_ctx": Careless(), "fullName": FILE})


def plant_errors() -> None:
    """An exception in work, as FLARE's own code and ours log it."""
    try:
        fail()
    except ExceptionGroup as error:
        logger.exception("plant-exception")
        logger.error("plant-quoted %s", error)
        logger.error(f"plant-flare {secure_format_exception(error)}")
        logger.error(f"plant-cause {error.__cause__} of {error.__cause__.__context__}")
        secure_log_traceback(logger)
        late = f"plant-late {secure_format_exception(ValueError(TEXT))}"
    logger.error(late)


class Full(logging.StreamHandler):
    """A handler on a full disk."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(write=self.refuse, flush=lambda: None))

    def refuse(self, text: str) -> None:
        raise OSError(28, TEXT, FILE)


def main(folder: str, config: str, mode: str) -> None:
    apply_log_config(json.loads(Path(config).read_text()), folder)
    plant_fields()
    if mode != "own":
        dynamic_log_config(mode, folder, config)
    logging.getLogger().addHandler(Full())
    plant_plain()
    plant_errors()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Dropped()
    gc.collect()
    fail()


if __name__ == "__main__":
    main(*sys.argv[1:])
