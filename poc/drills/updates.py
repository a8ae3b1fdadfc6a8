"""A hospital that sends what no honest one sends."""

import json
import time
from collections import Counter
from typing import Any

from drills.stage import HOSTILE, SITES, Ended, Stage
from fedvox.errors import FedVoxError
from fedvox.flare.loopback.submission import DONE

FORGOTTEN = 300.0
"""Seconds in which the server forgets a site whose processes are gone."""
SENT = "hostile.txt"


def bad_updates(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """A fourth site joins and answers each task with lies (``hostile/``), most of them unasked.

    Args:
        stage: the running federation.
        seed: not used; the lies are the same each time.
        plain: the undisturbed run, of the three honest sites.
    """
    sent = stage.kits.kit(HOSTILE) / SENT
    sent.unlink(missing_ok=True)
    stage.federation.sites.append(HOSTILE)
    stage.federation.start(HOSTILE)
    try:
        began = time.monotonic()
        job_id = stage.submit()
        end = stage.await_end(job_id, began)
    finally:
        stage.federation.sites.remove(HOSTILE)
        stage.kill(HOSTILE)
    forget(stage)
    lines = sent.read_text().splitlines() if sent.is_file() else []
    messages = Counter(json.loads(line) for line in lines)
    accepted = sum(HOSTILE in sites for sites in end.rounds)
    same = end.weights == plain.weights and end.best == plain.best
    return {
        "what": f"{HOSTILE} sends lies: {', '.join(f'{n} to {t}' for t, n in messages.items())}",
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "messages": messages.total(),
        "accepted": accepted,
        "reasons": dict(reasons(stage.records(job_id))),
        "same_weights": same,
        "passed": end.status == DONE and same and not accepted and len(messages) > 1,
    }


def reasons(records: list[dict[str, Any]]) -> Counter[str]:
    """Why the liar was refused, how often."""
    entries = [entry for record in records for entry in record["refused"]]
    return Counter(entry["reason"] for entry in entries if entry["site"] == HOSTILE)


def forget(stage: Stage) -> None:
    """Waits until the server no longer counts the liar among its sites.

    Raises:
        FedVoxError: it does not in time.
    """
    deadline = time.monotonic() + FORGOTTEN
    with stage.session() as session:
        while time.monotonic() < deadline:
            if {client.name for client in session.get_system_info().client_info} == set(SITES):
                return
            time.sleep(2.0)
    raise FedVoxError(f"the server still counts {HOSTILE} after {FORGOTTEN:g} s")
