"""A job whose process at the server dies at every start: it must end, and say so."""

import time

from drills.stage import OVER, Ended, Stage
from fedvox.errors import FedVoxError
from fedvox.files import write_json
from fedvox.flare.loopback.submission import DONE

MODULE, FUNCTION = "fedvox.aggregation.mean", "weighted_mean"
"""What the server's process dies in."""
TOLD = 120.0
"""Seconds after its last process in which a job may still be shown as running."""


def dies_for_good(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Kills the server's process of a job whenever it averages a round, until nobody starts it
    again; then another job must end as always.

    Args:
        stage: the running federation.
        seed: not used.
        plain: the undisturbed run.
    """
    plan = {"folder": str(stage.kits.kit(stage.server)), "module": MODULE, "error": "SIGKILL"}
    write_json(stage.crash, {**plan, "function": FUNCTION})
    began = time.monotonic()
    try:
        status, late = seconds_too_long(stage, job_id := stage.submit(), began)
    finally:
        stage.crash.unlink()
    after = stage.await_end(stage.submit(), time.monotonic())
    same = after.weights == plain.weights
    return {
        "what": f"the server's process dies in {FUNCTION} at every start",
        "status": f"{status}, then {after.status}",
        "seconds": round(time.monotonic() - began, 1),
        "shown_running_after_seconds": round(late, 1),
        "same_weights": same,
        "passed": status.startswith(OVER)
        and status != DONE
        and late <= TOLD
        and after.status == DONE
        and same
        and not stage.records(job_id),
    }


def seconds_too_long(stage: Stage, job_id: str, began: float) -> tuple[str, float]:
    """The status with which a job ended, and seconds since its process was last seen at the server.

    Raises:
        FedVoxError: it does not end.
    """
    seen = began
    with stage.session() as session:
        while time.monotonic() - began < 900.0:
            if stage.processes(stage.server, job_id):
                seen = time.monotonic()
            status = str(session.get_job_status(job_id))
            if status.startswith(OVER):
                return status, time.monotonic() - seen
            time.sleep(0.5)
    raise FedVoxError(f"job {job_id} does not end")
