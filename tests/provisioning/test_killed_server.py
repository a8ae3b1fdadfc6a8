"""The server and a site are killed between two compressed rounds: a clone of the job ends with the
undisturbed weights, and so do its prototypes.

One site has CT and the other MRI, of other patients, and each has an encoder that the other lacks.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file

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
    """All that needs a memory, at once; nothing is evaluated beyond the rounds."""
    changes = [
        *tiny_overrides,
        "data.channels=ct,mr",
        "data.missing_channels=true",
        "network.name=mixmodal",
        "network.channels=[16,32]",
        "phantom.train=5",
        "compression.up.keep=0.05",
        "compression.down.keep=0.05",
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


def kill(federation: Federation, name: str) -> None:
    """Ends a participant, its job's process and the script that would start it again."""
    folder = str(federation.kits.kit(name))
    own = []
    for pid in federation.processes():
        with suppress(psutil.NoSuchProcess):  # others end meanwhile
            process = psutil.Process(pid)
            own += [process] if any(folder in word for word in process.cmdline()) else []
    assert len(own) >= 3
    for process in own:
        process.kill()
    psutil.wait_procs(own, timeout=30)


def test_a_clone_of_a_killed_run_ends_with_the_undisturbed_weights_and_memory(
    federation, job, work, replicas
):
    with federation.joined(LEAD) as session:
        undisturbed = submit(session, job, work)
        assert watch(federation, session, undisturbed, ROUNDS) == DONE
        killed = submit(session, job, work)
    wait_for_round(federation, killed, 1)
    for name in (federation.kits.server, SITES[0]):
        kill(federation, name)
    assert not (state_of(federation, killed) / f"model_{ROUNDS:05d}.safetensors").exists()
    for name in (federation.kits.server, SITES[0]):
        federation.start(name)
    with federation.joined(LEAD) as session:
        clone = session.clone_job(killed)
        assert watch(federation, session, clone, ROUNDS) == DONE
    ours, theirs = state_of(federation, killed), state_of(federation, undisturbed)
    for kind in ("model", "memory"):
        name = f"{kind}_{ROUNDS:05d}.safetensors"
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    model = load_file(str(ours / f"model_{ROUNDS:05d}.safetensors"))
    assert all(model[f"memory.{modality}"].any() for modality in ("ct", "mr"))
    held = replicas(killed)
    assert held == replicas(undisturbed) and set(held) == set(SITES)
    whole = (ours / f"model_{ROUNDS:05d}.safetensors").stat().st_size
    records = [json.loads(line) for line in (ours / "rounds.jsonl").read_text().splitlines()]
    assert [record["round"] for record in records] == list(range(ROUNDS))
    for record in records:
        assert [part["site"] for part in record["contributors"]] == list(SITES)
        for part in record["contributors"]:
            assert "2 modalities alike" in part["reason"]
            assert 0 < part["bytes_down"] < 0.1 * whole and 0 < part["bytes_up"] < 0.1 * whole
