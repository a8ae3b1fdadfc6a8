"""The server's job process hears of sites that came back under a new token."""

import logging
import threading
from typing import Any

from nvflare.apis.fl_context import FLContext

from fedvox.flare.run.places import is_simulator

logger = logging.getLogger(__name__)
PERIOD = 5.0
"""Seconds between two questions to the server's parent process."""


def keep_clients_known(fl_ctx: FLContext) -> None:
    """Asks the server's parent for the job's clients as long as this process lives.

    FLARE asks once, when the job starts; a site that registered anew would then be refused at each
    task request. Under the simulator no site registers anew.

    Args:
        fl_ctx: a context of the server.
    """
    if is_simulator(fl_ctx):
        return
    engine: Any = fl_ctx.get_engine()
    threading.Thread(target=_repeat, args=(engine,), name="clients", daemon=True).start()


def _repeat(engine: Any) -> None:
    pause = threading.Event()
    while not pause.wait(PERIOD):
        try:
            engine.sync_clients_from_main_process()
        except RuntimeError as error:  # the parent is gone or busy; it may come back
            logger.warning("the job's clients are not known anew: %s", error)
