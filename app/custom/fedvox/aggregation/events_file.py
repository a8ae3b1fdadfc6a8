"""``events.jsonl``: starts, restarts and returns of a run's processes, as the server saw them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STARTED = "started"
SERVER_RESTARTED = "server_restarted"
RESUMED = "resumed"
CLONED = "cloned"
CONTINUED = "continued"
SITE_RESTARTED = "site_restarted"
KINDS = (STARTED, SERVER_RESTARTED, RESUMED, CLONED, CONTINUED, SITE_RESTARTED)


def append_event(folder: Path, kind: str, job: str, site: str, text: str) -> dict[str, Any]:
    """Adds a line to a folder's ``events.jsonl``.

    Args:
        folder: made if it is not there.
        kind: one of :data:`KINDS`.
        job: id of the job.
        site: whose process it is; ``server`` for the server's.
        text: what happened, for people.

    Returns:
        The event.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds")
    event = {"time": time, "event": kind, "job": job, "site": site, "text": text}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
    return event


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of a folder, in their order; a line that was cut off by a kill is left out."""
    path = folder / "events.jsonl"
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and all(isinstance(value, str) for value in event.values()):
            events.append(event)
    return events
