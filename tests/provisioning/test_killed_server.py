"""The server is killed between two rounds: a clone of the job ends with the undisturbed weights."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.dry_run import write_phantom_sites
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits, provision
from fedvox.flare.loopback.submission import DONE, submit, watch
from fedvox.flare.run.places import STATE

pytestmark = pytest.mark.system
JOB = Path(__file__).parents[2] / "jobs/fedgin"
LEAD = "lead@hospital-a.org"
SITES = ("site-1", "site-2")
ROUNDS = 3


@pytest.fixture(scope="module")
def job(work: Path, tiny_overrides: list[str]) -> Path:
    """Both rules that need a memory, at once; nothing is evaluated beyond the rounds."""
    changes = [
        *tiny_overrides,
        f"training.rounds={ROUNDS}",
        "training.client_weight=modality_first",
        "training.server_momentum=0.5",
        "evaluation.site_models=false",
        "evaluation.overlays=0",
    ]
    return export_job(JOB, work / "jobs", "preinstalled", changes, "tiny")


@pytest.fixture(scope="module")
def federation(
    work: Path, project: Callable[[], dict[str, Any]], job: Path
) -> Iterator[Federation]:
    kits: Kits = provision(project(), work / "kits")
    write_phantom_sites(kits, job, work)
    with Federation(kits, SITES) as running:
        yield running


def state_of(federation: Federation, job_id: str) -> Path:
    """Where the server keeps a run's models; the folder exists once the run has begun."""
    (found,) = (federation.kits.kit(federation.kits.server) / STATE / job_id).glob("*")
    return found


def wait_for_round(federation: Federation, job_id: str, rounds: int) -> None:
    root = federation.kits.kit(federation.kits.server) / STATE / job_id
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for path in root.glob("*/state.json"):
            if json.loads(path.read_text())["version"] >= rounds:
                return
        time.sleep(0.02)
    raise AssertionError(f"no round {rounds} within 300 s")


def kill_server(federation: Federation) -> None:
    """Ends FLARE's server, the job's process and the script that would start it again."""
    folder = str(federation.kits.kit(federation.kits.server))
    own = [psutil.Process(pid) for pid in federation.processes()]
    own = [process for process in own if any(folder in word for word in process.cmdline())]
    assert len(own) >= 3
    for process in own:
        process.kill()
    psutil.wait_procs(own, timeout=30)


def test_a_clone_of_a_killed_run_ends_with_the_undisturbed_weights_and_memory(
    federation, lead, job, work
):
    undisturbed = submit(lead, job, work)
    assert watch(federation, lead, undisturbed, ROUNDS) == DONE
    killed = submit(lead, job, work)
    wait_for_round(federation, killed, 1)
    kill_server(federation)
    assert not (state_of(federation, killed) / f"model_{ROUNDS:05d}.safetensors").exists()
    federation.start(federation.kits.server)
    session = federation.session(LEAD)
    try:
        federation.wait_for_sites(session)
        clone = session.clone_job(killed)
        assert watch(federation, session, clone, ROUNDS) == DONE
    finally:
        session.close()
    ours, theirs = state_of(federation, killed), state_of(federation, undisturbed)
    for kind in ("model", "memory"):
        name = f"{kind}_{ROUNDS:05d}.safetensors"
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    records = [json.loads(line) for line in (ours / "rounds.jsonl").read_text().splitlines()]
    assert [record["round"] for record in records] == list(range(ROUNDS))
    for record in records:
        assert [part["site"] for part in record["contributors"]] == list(SITES)
        assert all("2 modalities alike" in part["reason"] for part in record["contributors"])
