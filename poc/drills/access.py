"""Who and what must not get in: clients, people, jobs, a kit."""

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from drills.stage import SITES, Ended, Stage
from drills.strangers import KINDS, attempt, refusals, server_speaks, stranger
from fedvox.errors import FedVoxError
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.submission import DONE, submit

MEMBER, ORG_ADMIN = "member@hospital-b.org", "it@hospital-a.org"
PATIENCE = 240.0
"""Seconds until the server has refused what a strange client says, or a client has ended."""
FOREIGN = "nvflare.app_common.np.np_trainer.NPTrainer"
ROOT = Path(__file__).parents[2]


def strange_client(kind: str, stage: Stage, folder: Path) -> str:
    """A client of another CA, with an expired certificate, without one, under another name."""
    kit = stranger(stage.kits, SITES[0], kind, folder)
    speaks = server_speaks(stage.kits, kit)
    if kind == "name":
        return _kept_out(stage, kit, folder)
    return "TLS took its certificate" if speaks else ""


def _kept_out(stage: Stage, kit: Path, folder: Path) -> str:
    """A client that speaks to the server and must not join."""
    console = stage.federation.output(stage.server)
    before = refusals(console)
    tried = attempt(kit, "stranger", folder, stage.federation.mark)
    try:
        deadline = time.monotonic() + PATIENCE
        while refusals(console) == before and time.monotonic() < deadline:
            time.sleep(1)
        if refusals(console) == before:
            return "the server refused nothing that it said"
        with stage.session() as session:
            for _ in range(5):
                joined = {client.name for client in session.get_system_info().client_info}
                if strange := joined - set(SITES):
                    return f"joined: {', '.join(sorted(strange))}"
                time.sleep(1)
        return ""
    finally:
        tried.end()


def changed_kit(stage: Stage, folder: Path) -> str:
    """A site's kit of which one byte is changed: its client ends before it speaks to anybody."""
    kit = folder / "changed"
    shutil.copytree(stage.kits.kit(SITES[0]), kit)
    path = kit / "startup/fed_client.json"
    path.write_bytes(path.read_bytes() + b" ")
    tried = attempt(kit, "changed-kit", folder, stage.federation.mark)
    try:
        deadline = time.monotonic() + PATIENCE
        while tried.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        if tried.process.poll() is None:
            return "its client runs on"
        told = "not the one that was provisioned" in tried.text()
        return "" if told else "its client ended for another reason"
    finally:
        tried.end()


def submission(user: str, stage: Stage, folder: Path) -> str:
    """A person who may not submit does."""
    session = stage.federation.session(user)
    try:
        submit(session, stage.job, folder)
    except FedVoxError as error:
        return "" if "authoriz" in str(error).lower() else str(error)
    finally:
        session.close()
    return f"{user} submitted a job"


def carried_code(stage: Stage, folder: Path) -> str:
    """A job that carries code, at sites that take none."""
    given = list(stage.settings.values())
    job = export_job(ROOT / "jobs/fedgin", folder / "jobs", "carried", given, "carried")
    with stage.session() as session:
        return _no_result(stage, submit(session, job, folder), "BYOC not permitted")


def foreign_class(stage: Stage, folder: Path) -> str:
    """A job that names a class which no site allows."""
    job = folder / "foreign"
    shutil.copytree(stage.job, job)
    path = job / "app/config/config_fed_client.json"
    config = json.loads(path.read_text())
    config["components"].append({"id": "x", "path": FOREIGN, "args": {}})
    path.write_text(json.dumps(config))
    consoles = [stage.federation.output(name) for name in SITES]
    before = [console.stat().st_size for console in consoles]
    with stage.session() as session:
        job_id = submit(session, job, folder)
    if wrong := _no_result(stage, job_id):
        return wrong
    told = [console.read_bytes()[size:] for console, size in zip(consoles, before, strict=True)]
    words = (b"component not authorized", FOREIGN.encode())
    if not any(all(word in line for word in words) for text in told for line in text.splitlines()):
        return "refused, but no site says which class it was"
    return ""


def changed_job(stage: Stage, folder: Path) -> str:
    """The server's operator changes one byte of a stored job and starts a clone of it."""
    began = time.monotonic()
    job_id = stage.submit()
    end = stage.await_end(job_id, began)
    if end.status != DONE:
        return f"the job to be changed ended as {end.status}"
    stored = stage.kits.kit(stage.server) / "jobs-storage/jobs" / job_id / "data"
    change_member(stored, "app/config/training.json")
    with stage.session() as session:
        clone = str(session.clone_job(job_id))
    return _no_result(stage, clone, "does not pass signature verification")


def change_member(archive: Path, name: str) -> None:
    """Adds a blank to the end of one file of a zip archive."""
    with zipfile.ZipFile(archive) as old:
        content = {entry: old.read(entry) for entry in old.namelist()}
    (member,) = (entry for entry in content if entry.endswith(name))
    content[member] += b" "
    with zipfile.ZipFile(archive, "w") as new:
        for entry, data in content.items():
            new.writestr(entry, data)


def _no_result(stage: Stage, job_id: str, words: str = "") -> str:
    """Waits for the end of a job that must not run.

    Args:
        stage: the running federation.
        job_id: of the job.
        words: of the reason, as FLARE keeps it with the job; none where only the sites have one.
    """
    end = stage.await_end(job_id, time.monotonic())
    with stage.session() as session:
        told = json.dumps(session.get_job_meta(job_id), default=str)
    if end.status == DONE or end.rounds:
        return f"ended as {end.status} after {len(end.rounds)} rounds"
    return "" if words in told else f"refused ({end.status}), but nobody says: {words}"


ATTEMPTS: dict[str, Callable[[Stage, Path], str]] = {
    **{f"client: {kind}": partial(strange_client, kind) for kind in KINDS},
    "kit changed by a byte": changed_kit,
    "member submits": partial(submission, MEMBER),
    "org_admin submits": partial(submission, ORG_ADMIN),
    "job carries code": carried_code,
    "job names a class that is not allowed": foreign_class,
    "job changed by a byte": changed_job,
}
"""What is tried; each returns why it was not refused as it should be, or nothing."""


def access(stage: Stage, seed: int, plain: Ended) -> dict[str, object]:
    """Tries all of :data:`ATTEMPTS`, one after the other.

    Args:
        stage: the running federation.
        seed: not used.
        plain: the undisturbed run, to which a job afterwards is compared.
    """
    told = {}
    for name, tried in ATTEMPTS.items():
        with TemporaryDirectory(dir=stage.work) as folder:
            told[name] = tried(stage, Path(folder)) or "refused"
        print(f"  {name}: {told[name]}", flush=True)
    began = time.monotonic()
    end = stage.await_end(stage.submit(), began)
    same = end.weights == plain.weights
    return {
        "what": "clients, people, jobs and a kit that must not get in",
        "status": end.status,
        "attempts": told,
        "same_weights": same,
        "passed": end.status == DONE and same and set(told.values()) == {"refused"},
    }
