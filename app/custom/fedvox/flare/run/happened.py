"""What happens to a run's processes goes on record, and outlives a new deployment of its job."""

import shutil
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext

from fedvox.aggregation.events_file import (
    CLONED,
    CONTINUED,
    RESUMED,
    SERVER_RESTARTED,
    SITE_RESTARTED,
    STARTED,
    append_event,
    read_events,
)
from fedvox.flare.restarts.job_rescue import EARLIER
from fedvox.flare.restarts.start import Start, own_start
from fedvox.flare.run.places import STATE, cloned_from, is_simulator, workspace_of
from fedvox.flare.run.server_run import ServerRun
from fedvox.privacy.forms import whole, word

START = "fedvox_start"
"""Property of a site's context: the start of its job's process."""
SERVER = "server"
MOST_STARTS = 1000
"""Starts of a site that are put on record in one process of the server."""
_ID, _COUNT, _SIGNAL = word(r"[0-9a-f]{32}"), whole(10**6), whole(64)


def publish_start(fl_ctx: FLContext) -> None:
    """At a site: tells the server of this start of the job's process."""
    start = own_start()
    values = {"id": start.id, "restarts": start.restarts, "signal": start.signal}
    fl_ctx.set_prop(START, values, private=False, sticky=True)


def record_own_start(run: ServerRun, fl_ctx: FLContext) -> None:
    """At the server: why this process began, and what an earlier deployment of the job left."""
    _bring_back(run, fl_ctx)
    known, start = read_events(run.state.folder), own_start()
    kind, text = STARTED, "the job began"
    if start.restarts:
        kind, text = SERVER_RESTARTED, f"{_ended(start)}; the job went on by itself"
    elif known and known[-1].get("job") != run.job_id:
        kind, text = CLONED, f"a clone of job {known[-1].get('job')} goes on with it"
        if run.job.training.continues and not cloned_from(fl_ctx):
            rounds = run.job.training.rounds
            kind, text = CONTINUED, f"job {run.job_id} goes on with the run, to {rounds} rounds"
    elif known:
        kind, text = RESUMED, "the server was started again and took the job up"
    record(run, kind, SERVER, text)
    if kind != STARTED:
        run.note(f"after round {run.state.version}: {text}")


class SiteStarts:
    """Notices when a site's job process is another one than before."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._seen: dict[str, int] = {}

    def note(self, site: str, value: Any, run: ServerRun, fl_ctx: FLContext) -> None:
        """Takes what a site says of its start; what is not of its form says nothing.

        Args:
            site: its authenticated name.
            value: of its property :data:`START`, untrusted.
            run: the run.
            fl_ctx: FLARE's context; the simulator's short-lived processes are no event.
        """
        start = _start(value)
        if start is None or is_simulator(fl_ctx) or self._known.get(site) == start.id:
            return
        first = site not in self._known
        self._known[site] = start.id
        self._seen[site] = self._seen.get(site, 0) + 1
        if (first and not start.restarts) or self._seen[site] > MOST_STARTS:
            return
        text = f"{site} is back: {_ended(start) if start.restarts else 'it was started again'}"
        record(run, SITE_RESTARTED, site, text)
        run.note(text)


def record(run: ServerRun, kind: str, site: str, text: str) -> None:
    """Puts an event into the server's memory of the run and into its results."""
    for folder in (run.state.folder, run.results):
        append_event(folder, kind, run.job_id, site, text)


def _start(value: Any) -> Start | None:
    if not isinstance(value, dict) or set(value) != {"id", "restarts", "signal"}:
        return None
    if not (_ID(value["id"]) and _COUNT(value["restarts"]) and _SIGNAL(value["signal"])):
        return None
    return Start(**value)


def _ended(start: Start) -> str:
    return f"the job's process was ended by signal {start.signal} and started again"


def _bring_back(run: ServerRun, fl_ctx: FLContext) -> None:
    """Events, TensorBoard's files and logs from before FLARE deployed the same job again."""
    events = run.state.folder / "events.jsonl"
    if events.is_file() and not (run.results / "events.jsonl").is_file():
        shutil.copyfile(events, run.results / "events.jsonl")
    root = Path(workspace_of(fl_ctx).get_root_dir()) / STATE / EARLIER / run.job_id
    for folder in sorted(root.glob("*")):
        for path in sorted(folder.iterdir()):
            if path.is_dir():  # tb
                shutil.copytree(path, run.results / path.name, dirs_exist_ok=True)
            else:
                target = run.results / EARLIER / folder.name
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / path.name)
