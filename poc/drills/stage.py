"""The federation in which faults are played: real kits, three sites, a job of seconds."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from drills.hostile_kit import make_hostile
from drills.link import Link
from fedvox.aggregation.events_file import read_events
from fedvox.aggregation.run_state import RunState
from fedvox.data.site.site_file import SITE_FILE
from fedvox.errors import FedVoxError
from fedvox.files import write_json
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.dry_run import write_phantom_sites
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits, free_ports, provision, read_project, with_ports
from fedvox.flare.loopback.submission import submit
from fedvox.flare.run.places import RESULTS, STATE
from fedvox.tensors import read_arrays, weights_hash

ROOT = Path(__file__).parents[2]
LEAD = "lead@hospital-a.org"
SITES = ("site-1", "site-2", "site-3")
LINKED = "site-3"
"""The site whose link can be cut."""
HOSTILE = "liar_4"
"""A site that is started only to lie."""
ROUNDS = 6
OVER = ("FINISHED", "FAILED")
"""How the status of a job begins that has ended."""
LONGEST = 600.0
"""Seconds after which a drilled job is taken to hang."""
SETTINGS = (
    "data.organs=liver,spleen",
    "data.spacing=[12,12,12]",
    "data.patch=[16,16,16]",
    "network.channels=[4,8]",
    "network.residual_units=0",
    "phantom.modalities=ct,mr,mr",
    "phantom.spacing_mm=12",
    "phantom.train=3",
    "phantom.val=1",
    "phantom.test=1",
    "training.steps=20",
    "training.batch=1",
    "training.device=cpu",
    f"training.rounds={ROUNDS}",
    "training.server_momentum=0.5",
    "compression.up.keep=0.1",
    "compression.down.keep=0.2",
    "evaluation.site_models=false",
    "evaluation.overlays=0",
    "waiting.sites=3",
)
"""A run with all that has a memory: momentum, optimisers, residuals. All three sites are awaited,
so that the weights can be compared bit for bit."""


@dataclass
class Ended:
    """How a drilled job ended.

    Attributes:
        status: FLARE's.
        seconds: from submission to the end.
        trained: from the first to the last moment in which something can be lost: all processes
            are there, the last round is finished; of an undisturbed run only.
        weights: hash of the last global model, empty where there is none.
        best: version that was chosen, None without any.
        rounds: contributors of each finished round.
        restarts: events that are no plain start.
    """

    status: str
    seconds: float
    weights: str
    rounds: list[list[str]]
    restarts: list[str] = field(default_factory=list)
    best: int | None = None
    trained: float = 0.0


class Stage:
    """A running federation and the job that is drilled.

    Args:
        work: an empty folder for kits, phantoms and jobs.
        changes: more settings of the job, after :data:`SETTINGS`.
        rounds: of the job.
    """

    def __init__(self, work: Path, changes: Sequence[str] = (), rounds: int = ROUNDS) -> None:
        self.work = work
        self.rounds = rounds
        settings = [*SETTINGS, f"training.rounds={rounds}", *changes]
        learn, admin, linked = free_ports(3)
        project = with_ports(read_project(ROOT / "provisioning/project.yml"), learn, admin)
        project["participants"] = [
            {**entry, "connect_to": {"host": "localhost", "port": linked}}
            if entry["name"] == LINKED
            else entry
            for entry in project["participants"]
        ] + [{"name": HOSTILE, "type": "client", "org": "hospital_c"}]
        self.link = Link(linked, learn)
        for builder in project["builders"]:
            if "policies" in builder.get("args", {}):
                builder["args"]["policies"] = str(ROOT / "provisioning/policies")
        self.kits: Kits = provision(project, work / "kits")
        self.settings = {setting.partition("=")[0]: setting for setting in settings}
        self.job = self.variant("drill")
        write_phantom_sites(self.kits, self.job, work)
        for name in SITES:  # so that one of few cases may be left out
            path = self.kits.kit(name) / "local" / SITE_FILE
            write_json(path, {**json.loads(path.read_text()), "max_bad_fraction": 0.5})
        self.crash = work / "crash.json"
        here = make_hostile(self.kits, HOSTILE, SITES[1]) | {"FEDVOX_CRASH": str(self.crash)}
        here["PYTHONPATH"] += f"{os.pathsep}{ROOT / 'poc/crash'}"
        self.federation = Federation(self.kits, SITES, here)

    def __enter__(self) -> "Stage":
        self.link.__enter__()
        self.federation.__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        self.federation.__exit__(*reason)
        self.link.__exit__(*reason)

    def variant(self, name: str, *changes: str) -> Path:
        """The job with other settings; made on first use.

        Args:
            name: of the variant.
            changes: settings that differ.
        """
        path = self.work / "jobs" / name
        if not path.is_dir():
            settings = self.settings | {change.partition("=")[0]: change for change in changes}
            given = list(settings.values())
            export_job(ROOT / "jobs/fedgin", path.parent, "preinstalled", given, name)
        return path

    @property
    def server(self) -> str:
        """The server's name."""
        return self.kits.server

    @contextmanager
    def session(self) -> Any:
        """The lead's session, once all sites are there."""
        with self.federation.joined(LEAD) as session:
            yield session

    def submit(self, job: Path | None = None) -> str:
        """Submits the job, or another one; returns its id."""
        with self.session() as session:
            return submit(session, job or self.job, self.work)

    def records(self, job_id: str) -> list[dict[str, Any]]:
        """Records of the finished rounds."""
        folder = self.state(job_id)
        if folder is None:
            return []
        return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]

    def state(self, job_id: str) -> Path | None:
        """The server's state folder of a job, once there is one."""
        root = self.kits.kit(self.server) / STATE / job_id
        found = [path.parent for path in root.glob("*/state.json")]
        return found[0] if found else None

    def version(self, job_id: str) -> int:
        """Finished rounds of a job."""
        folder = self.state(job_id)
        if folder is None:
            return 0
        return int(json.loads((folder / "state.json").read_text())["version"])

    def processes(self, name: str, job_id: str | None = None) -> list[psutil.Process]:
        """Processes of a participant: of one job, or all, with the script that starts them."""
        kit, found = str(self.kits.kit(name)), []
        for pid in self.federation.processes():
            with suppress(psutil.NoSuchProcess):  # others end meanwhile
                process = psutil.Process(pid)
                words = process.cmdline()
                if any(kit in word for word in words) and (job_id is None or job_id in words):
                    found.append(process)
        return found

    def kill(self, name: str, job_id: str | None = None) -> int:
        """Kills processes of a participant as :meth:`processes` finds them; returns how many."""
        found = self.processes(name, job_id)
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=30)
        return len(found)

    def await_end(self, job_id: str, began: float) -> Ended:
        """Waits for the job's end and reads what it left.

        Raises:
            FedVoxError: it does not end.
        """
        status = "unknown"
        while time.monotonic() - began < LONGEST:
            # a session breaks with the server it was opened to
            with suppress(Exception), self.session() as session:
                while time.monotonic() - began < LONGEST and not status.startswith(OVER):
                    status = str(session.get_job_status(job_id))
                    time.sleep(0.0 if status.startswith(OVER) else 1.0)
            if status.startswith(OVER):
                return self.ended(job_id, status, time.monotonic() - began)
            time.sleep(1.0)
        raise FedVoxError(f"job {job_id} is {status} after {LONGEST:g} s")

    def check_download(self, job_id: str) -> tuple[list[str], list[str]]:
        """What the lead's download of a job that has ended lacks, of results and logs, and the
        sites that did not evaluate its last model."""
        with TemporaryDirectory(dir=self.work) as folder:
            with self.session() as session:
                found = Path(session.download_job_result(job_id, folder)) / "workspace"
            wanted = (
                "log.txt",
                f"{RESULTS}/rounds.jsonl",
                f"{RESULTS}/summary.csv",
                f"{RESULTS}/model.safetensors",
            )
            missing = [name for name in wanted if not (found / name).is_file()]
            if missing:
                return missing, []
            *_, last = (found / RESULTS / "rounds.jsonl").read_text().splitlines()
            return [], json.loads(last)["missing"]

    def await_start(self, job_id: str) -> None:
        """Waits until server and sites have a process for the job.

        Raises:
            FedVoxError: one of them has none in time.
        """
        deadline = time.monotonic() + LONGEST
        for name in (self.server, *SITES):
            while not self.processes(name, job_id):
                if time.monotonic() > deadline:
                    raise FedVoxError(f"{name} has no process for job {job_id}")
                time.sleep(0.2)

    def await_round(self, job_id: str, count: int) -> None:
        """Waits until so many rounds are finished.

        Raises:
            FedVoxError: they are not in time.
        """
        deadline = time.monotonic() + LONGEST
        while self.version(job_id) < count:
            if time.monotonic() > deadline:
                raise FedVoxError(f"job {job_id} has no {count} rounds after {LONGEST:g} s")
            time.sleep(0.2)

    def ended(self, job_id: str, status: str, seconds: float) -> Ended:
        """What a job left at the server."""
        folder = self.state(job_id)
        if folder is None:
            return Ended(status, seconds, "", [])
        path = folder / f"model_{self.version(job_id):05d}.safetensors"
        records = self.records(job_id)
        rounds = [[part["site"] for part in record["contributors"]] for record in records]
        texts = [event["text"] for event in read_events(folder) if event["event"] != "started"]
        best = RunState(folder).best
        version = best.version if best else None
        return Ended(status, seconds, weights_hash(read_arrays(path)), rounds, texts, version)
