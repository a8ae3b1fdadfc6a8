"""The server and a site are killed between two compressed rounds: the job goes on by itself, under
its own id, and ends with the undisturbed weights, and so do its prototypes. So does a clone of an
aborted job. A job that ended well goes on to more rounds.

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

from fedvox.aggregation.events_file import read_events
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


def contributors(folder: Path) -> list[list[dict[str, Any]]]:
    """Of each finished round in a folder's records; results tell of the evaluation after them."""
    lines = (folder / "rounds.jsonl").read_text().splitlines()
    return [found for line in lines if (found := json.loads(line)["contributors"])]


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


@pytest.fixture(scope="module")
def undisturbed(federation: Federation, job: Path, work: Path) -> str:
    """The run that nothing happens to."""
    with federation.joined(LEAD) as session:
        job_id = submit(session, job, work)
        assert watch(federation, session, job_id, ROUNDS) == DONE
    return job_id


@pytest.fixture
def same(federation: Federation, undisturbed: str, replicas) -> Callable[[str], None]:
    """A function that compares what a run left with what the undisturbed one left."""

    def compare(job_id: str) -> None:
        ours, theirs = state_of(federation, job_id), state_of(federation, undisturbed)
        for kind in ("model", "memory"):
            name = f"{kind}_{ROUNDS:05d}.safetensors"
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        held = replicas(job_id)
        assert held == replicas(undisturbed) and set(held) == set(SITES)
        records = [json.loads(line) for line in (ours / "rounds.jsonl").read_text().splitlines()]
        assert [record["round"] for record in records] == list(range(ROUNDS))
        whole = (ours / f"model_{ROUNDS:05d}.safetensors").stat().st_size
        for record in records:
            assert [part["site"] for part in record["contributors"]] == list(SITES)
            for part in record["contributors"]:
                assert "2 modalities alike" in part["reason"]
                assert 0 < part["bytes_down"] < 0.1 * whole and 0 < part["bytes_up"] < 0.1 * whole

    return compare


def test_a_killed_run_goes_on_by_itself_and_ends_with_the_undisturbed_weights_and_memory(
    federation, job, work, same
):
    with federation.joined(LEAD) as session:
        killed = submit(session, job, work)
    wait_for_round(federation, killed, 1)
    for name in (federation.kits.server, SITES[0]):
        kill(federation, name)
    assert not (state_of(federation, killed) / f"model_{ROUNDS:05d}.safetensors").exists()
    for name in (federation.kits.server, SITES[0]):
        federation.start(name)
    with federation.joined(LEAD) as session:
        assert watch(federation, session, killed, ROUNDS) == DONE
        results = Path(session.download_job_result(killed, str(work / "download")))
    same(killed)
    model = load_file(str(state_of(federation, killed) / f"model_{ROUNDS:05d}.safetensors"))
    assert all(model[f"memory.{modality}"].any() for modality in ("ct", "mr"))
    events = read_events(results / "workspace/fedvox")
    assert [event["event"] for event in events] == ["started", "resumed"]
    curves = list((results / "workspace/fedvox/tb").rglob("events.*"))
    assert len({path.name for path in curves}) == len(curves) >= 2  # of both parts


def test_a_clone_of_an_aborted_run_ends_with_the_same_weights(federation, job, work, same):
    with federation.joined(LEAD) as session:
        aborted = submit(session, job, work)
        wait_for_round(federation, aborted, 1)
        session.abort_job(aborted)
        while not str(session.get_job_status(aborted)).startswith("FINISHED"):
            time.sleep(0.5)
        clone = session.clone_job(aborted)
        assert watch(federation, session, clone, ROUNDS) == DONE
    same(aborted)


def test_a_job_that_ended_well_goes_on_to_more_rounds(federation, undisturbed, job, work):
    more = [f"training.rounds={ROUNDS + 1}", f"training.continues={undisturbed}"]
    longer = export_job(job, work / "jobs", "preinstalled", more, "longer")
    known = contributors(state_of(federation, undisturbed))
    with federation.joined(LEAD) as session:
        job_id = submit(session, longer, work)
        assert watch(federation, session, job_id, ROUNDS + 1) == DONE
        results = Path(session.download_job_result(job_id, str(work / "download")))
    told = contributors(results / "workspace/fedvox")
    assert told[:ROUNDS] == known and len(told) == ROUNDS + 1
    assert [part["site"] for part in told[ROUNDS]] == list(SITES)
    root = federation.kits.kit(federation.kits.server) / STATE
    assert not (root / job_id).exists()
    events = read_events(results / "workspace/fedvox")
    assert [event["event"] for event in events] == ["started", "continued"]
