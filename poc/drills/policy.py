"""A site whose privacy policy is missing, damaged or cannot do its work."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drills.stage import LONGEST, SITES, Ended, Stage
from fedvox.errors import FedVoxError
from fedvox.flare.loopback.submission import DONE
from fedvox.privacy.ledger import LEDGER

POLICY = "local/privacy.json"
NOISE: dict[str, Any] = {"path": "fedvox.flare.noise.NoisyUpdate", "args": {}}
UP = 12.0
"""Seconds that a site with a broken policy gets to join; some of them never do."""
WAIT = 15
"""Seconds that the job's rounds and its evaluation wait for a site that is gone."""
Policy = dict[str, Any]


def _without(chain: str) -> Callable[[Policy], str]:
    def change(policy: Policy) -> str:
        for scope in policy["scopes"]:
            scope[chain] = []
        return json.dumps(policy)

    return change


def _with_filter(entry: Policy) -> Callable[[Policy], str]:
    def change(policy: Policy) -> str:
        for scope in policy["scopes"]:
            scope["task_result_filters"].append(entry)
        return json.dumps(policy)

    return change


SPOILT_LEDGER = "a ledger that cannot be read"
WAYS: dict[str, Callable[[Policy], str] | None] = {
    "no policy": None,
    "an empty policy": lambda policy: "",
    "a policy that is no JSON": lambda policy: json.dumps(policy)[:-2],
    "a policy without scopes": lambda policy: json.dumps({**policy, "scopes": []}),
    "no default scope": lambda policy: json.dumps({**policy, "default_scope": "other"}),
    "no filter of results": _without("task_result_filters"),
    "no filter of tasks": _without("task_data_filters"),
    "a filter that is not there": _with_filter({**NOISE, "path": f"{NOISE['path']}s"}),
    "noise below 0": _with_filter({**NOISE, "args": {"noise": -1.0}}),
    SPOILT_LEDGER: _with_filter(NOISE),
}
"""What is wrong -> the policy's text, None for no file."""


def broken_policy(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Breaks a site's policy in one of ten ways and starts the site again: in the middle of a job,
    which the other sites have to finish, or before one, which it may refuse before its first round.

    Args:
        stage: the running federation.
        seed: chooses the way, in turn, and the site; the second ten are those before a job.
        plain: the undisturbed run.
    """
    way, middle = [*WAYS][seed % len(WAYS)], seed // len(WAYS) % 2 == 0
    name, job_id = random.Random(f"policy {seed}").choice(SITES), ""
    path = stage.kits.kit(name) / POLICY
    ledger = stage.work / "cache" / name / LEDGER.format(site=name)
    whole = path.read_text(encoding="utf-8")
    waits = (f"waiting.{key}={WAIT}" for key in ("round", "evaluation"))
    job = stage.variant("two_of_three", "waiting.sites=2", *waits)
    began, done = time.monotonic(), 0
    if middle:
        job_id = stage.submit(job)
        stage.await_round(job_id, 2)
    stage.kill(name)
    stage.federation.sites.remove(name)
    try:
        done = len(stage.records(job_id)) if middle else 0
        break_policy(path, WAYS[way], whole)
        if way == SPOILT_LEDGER:
            ledger.write_text("damaged\n", encoding="utf-8")
        stage.federation.start(name)
        if not middle:
            time.sleep(UP)
            began = time.monotonic()
            job_id = stage.submit(job)
        end = stage.await_end(job_id, began)
    finally:
        path.write_text(whole, encoding="utf-8")
        ledger.unlink(missing_ok=True)
        stage.kill(name)
        stage.federation.sites.append(name)
        start_again(stage, name)
    after = stage.records(job_id)[done + 1 :] if middle else stage.records(job_id)
    sent = sum(name in {part["site"] for part in record["contributors"]} for record in after)
    sent += sum(name in record["scores"] for record in after)
    refused = not middle and not end.rounds
    finished = end.status == DONE and len(end.rounds) == stage.rounds
    return {
        "what": f"{name} has {way}{f' from round {done + 1} on' if middle else ''}",
        "status": end.status,
        "seconds": round(end.seconds, 1),
        "sent": sent,
        "passed": not sent and (finished or refused),
    }


def break_policy(path: Path, change: Callable[[Policy], str] | None, whole: str) -> None:
    """Writes the broken policy, or takes it away.

    Args:
        path: of the policy.
        change: from the policy to its text; None for no file.
        whole: the text of the policy as it was.
    """
    if change is None:
        path.unlink()
    else:
        path.write_text(change(json.loads(whole)), encoding="utf-8")


def start_again(stage: Stage, name: str) -> None:
    """Starts a site and waits until the server has heard of it since; it forgets a site that was
    killed only after minutes, and would begin the next job with it or without it, as it comes.

    Raises:
        FedVoxError: it does not come.
    """
    began = time.time()
    stage.federation.start(name)
    with stage.session() as session:
        while time.time() - began < LONGEST:
            clients = session.get_system_info().client_info
            if any(c.name == name and c.last_connect_time > began for c in clients):
                return
            time.sleep(1.0)
    raise FedVoxError(f"{name} did not come back within {LONGEST:g} s")
