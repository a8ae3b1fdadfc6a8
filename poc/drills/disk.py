"""A server whose disk is full."""

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drills.stage import Ended, Stage
from fedvox.errors import FedVoxError
from fedvox.flare.loopback.submission import DONE
from fedvox.flare.run.places import STATE
from fedvox.tensors import read_arrays

SIZE = "8m"
"""Of the small disk, which holds the states of a few jobs of the stage."""
TOLD = 30.0
"""Seconds in which the server has to say what is wrong."""
WORDS = "no space left on the server's disk"
FILLER = "filler"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Puts a small disk in memory over a folder; what lies there is hidden meanwhile.

    Raises:
        FedVoxError: this user may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        raise FedVoxError(
            "a small disk cannot be mounted; play disk_full as root, or leave it out with "
            "--without disk_full"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Writes a file until the disk is full; returns it."""
    path = folder / FILLER
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def disk_full(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Fills the disk of the server's state at a random moment, frees it, and clones the job.

    Args:
        stage: the running federation.
        seed: of the moment.
        plain: the undisturbed run.
    """
    source = random.Random(f"disk {seed}")
    finished = source.randrange(stage.rounds)  # after the last round nothing is left to be written
    moment = source.uniform(0.0, 0.2) * plain.trained / stage.rounds
    folder = stage.kits.kit(stage.server) / STATE
    with small_disk(folder):
        began = time.monotonic()
        job_id = stage.submit()
        stage.await_start(job_id)
        stage.await_round(job_id, finished)
        time.sleep(moment)
        version = stage.version(job_id)
        filler, full = fill(folder), time.monotonic()
        told = seconds_until_told(stage, job_id, full)
        broken = stage.await_end(job_id, began)
        loads = last_model_loads(stage, job_id)
        filler.unlink()
        began = time.monotonic()
        with stage.session() as session:
            clone = session.clone_job(job_id)
        end = stage.await_end(clone, began)
        # a clone's state lies under the id of the job that it goes on with
        same = stage.ended(job_id, end.status, end.seconds).weights == plain.weights
    return {
        "what": f"the server's disk full in round {version + 1}",
        "status": f"{broken.status}, clone {end.status}",
        "told_seconds": round(told, 1),
        "model_loads": loads,
        "same_weights": same,
        "passed": told <= TOLD and loads and end.status == DONE and same,
    }


def last_model_loads(stage: Stage, job_id: str) -> bool:
    """Can the newest model of a job be read? Before the first round there need not be one."""
    state = stage.state(job_id)
    if state is None:
        return True
    try:
        return bool(read_arrays(state / f"model_{stage.version(job_id):05d}.safetensors"))
    except (OSError, ValueError, FedVoxError):
        return False


def seconds_until_told(stage: Stage, job_id: str, full: float) -> float:
    """Seconds from the full disk to the server's word on it in the job's log; infinite for none."""
    log = stage.kits.kit(stage.server) / job_id / "log.txt"
    while time.monotonic() - full < 2 * TOLD:
        if log.is_file() and WORDS in log.read_text(errors="replace"):
            return time.monotonic() - full
        time.sleep(0.2)
    return float("inf")
