"""How a run ends at the server: its failure, if it failed, goes into its own results."""

import errno
import logging
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from fedvox.errors import FedVoxError
from fedvox.flare.restarts.start import FINISHED, note_progress
from fedvox.flare.run.failures import checked_kind
from fedvox.flare.run.messages import FAILURE
from fedvox.flare.run.places import results_dir, run_dir, state_dir
from fedvox.flare.run.server_run import MOST_LETTERS, ServerRun, server_run
from fedvox.privacy.redaction import redact
from fedvox.report.records.failure import Failure, write_failure

logger = logging.getLogger(__name__)


def watch_end(event_type: str, fl_ctx: FLContext) -> None:
    """Records why a run fails, from FLARE's events; the first reason holds.

    A run that ends without having finished and without a reason of its own was ended from outside:
    by a person, or by FLARE since a site's job process died.
    """
    if event_type == EventType.FATAL_SYSTEM_ERROR:
        record_failure(fl_ctx, str(fl_ctx.get_prop(FLContextKey.EVENT_DATA) or "no reason given"))
    elif event_type == EventType.CLIENT_DISCONNECTED:
        run = opened_run(fl_ctx)
        if run is not None:
            site = one_line(str(fl_ctx.get_prop(FLContextKey.DISCONNECTED_CLIENT_NAME)))
            run.lost |= {site}
            run.note(f"{site} lost its connection or its job process ended; see its log")
    elif event_type == EventType.CLIENT_RECONNECTED:
        run = opened_run(fl_ctx)
        if run is not None:
            run.lost -= {one_line(str(fl_ctx.get_prop(FLContextKey.RECONNECTED_CLIENT_NAME)))}
    elif event_type == EventType.END_RUN:
        run = opened_run(fl_ctx)
        if run is not None and not run.finished and run.failure is None:
            silent = run.awaited if run.stage == "training" else frozenset()
            record_failure(fl_ctx, _stopped(silent), silent)


def finish(run: ServerRun, fl_ctx: FLContext) -> None:
    """Everything is written that the run promises: from now on no end of the process is a failure.

    A disk that is full by now only loses the note for the launcher.
    """
    run.finished = True
    with suppress(OSError):
        note_progress(run_dir(fl_ctx), FINISHED)


def opened_run(fl_ctx: FLContext) -> ServerRun | None:
    """The run, None where the job's settings cannot be read, for which it was refused."""
    try:
        return server_run(fl_ctx)
    except FedVoxError:
        return None


def record_failure(fl_ctx: FLContext, reason: str, sites: Collection[str] | None = None) -> None:
    """Writes ``failure.json`` and prints its line; of several reasons the first one holds.

    Args:
        fl_ctx: FLARE's context.
        reason: what happened; redacted here.
        sites: of which sites it speaks, None to find the known names in it.
    """
    text = one_line(redact(reason))
    run = opened_run(fl_ctx)
    if run is None:
        failure = Failure("start", None, (), text)
        folder, waiting = results_dir(fl_ctx), state_dir(fl_ctx) / "incoming"
    elif run.failure is not None:
        return
    else:
        number = run.state.version if run.stage == "training" else None
        if run.lost:
            text += f"; lost before: {', '.join(sorted(run.lost))}"
        found = _named(text, _names(run, fl_ctx)) if sites is None else tuple(sorted(sites))
        failure = Failure(run.stage, number, found, text)
        run.failure = failure
        folder, waiting = run.results, run.state.store.folder
    print(f"\n{failure.text}\n", flush=True)
    try:
        _write(folder, failure, waiting)
    except OSError as error:
        logger.error("failure.json cannot be written: %s", disk_text(error))


def error_text(error: FedVoxError | OSError) -> str:
    """Why a run ends, for its results: what we say ourselves, or what is wrong with the disk."""
    return disk_text(error) if isinstance(error, OSError) else str(error)


def disk_text(error: OSError) -> str:
    """What is wrong with the server's disk, and the remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "no space left on the server's disk; free some and clone the job, which goes on after "
            "the last finished round"
        )
    reason = error.strerror or type(error).__name__
    return f"the server cannot write its folder ({reason}); mend it and clone the job"


def task_failure(code: object, result: Shareable) -> str:
    """A site's failed task in one line: FLARE's return code and the kind that the site names."""
    known = {value for name, value in vars(ReturnCode).items() if name.isupper()}
    kind = checked_kind(result.get_header(FAILURE))
    what = ", ".join(part for part in (str(code) if code in known else "", kind) if part)
    return f"its task failed ({what or 'unknown code'}); see the first ERROR in the site's log"


def one_line(text: str) -> str:
    """A text of unknown origin as one line of printable characters, cut off if it is long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * MOST_LETTERS])
    return " ".join(plain.split())[:MOST_LETTERS]


def _write(folder: Path, failure: Failure, waiting: Path) -> None:
    """A full disk gets back what waits of the open round, which a clone trains again."""
    try:
        write_failure(folder, failure)
    except OSError:
        shutil.rmtree(waiting, ignore_errors=True)
        write_failure(folder, failure)


def _names(run: ServerRun, fl_ctx: FLContext) -> set[str]:
    return {client.name for client in fl_ctx.get_engine().get_clients()} | set(run.sites)


def _named(text: str, names: set[str]) -> tuple[str, ...]:
    """The names that occur in a text as whole words."""
    return tuple(
        name for name in sorted(names) if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
    )


def _stopped(silent: Collection[str]) -> str:
    text = "it was ended from outside: a person aborted it, or a site's job process died"
    if silent:
        text += f"; nothing had come in this round from {', '.join(sorted(silent))}"
    return text
