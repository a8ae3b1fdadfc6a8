"""Submits a job, watches its rounds and brings its results home."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from fedvox.errors import FedVoxError
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.run.places import RESULTS, SITE_REPORT, STATE

DONE = "FINISHED:COMPLETED"


def submit(session: Any, job: Path, work: Path) -> str:
    """Submits a copy of a job folder through the FLARE API; FLARE writes its signature into it.

    Returns:
        The job's id.

    Raises:
        FedVoxError: the server refused.
    """
    copy = work / "submitted" / job.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(job, copy)
    try:
        return str(session.submit_job(str(copy.resolve())))
    except Exception as error:  # FLARE's errors share no base class
        raise FedVoxError(f"the job was refused: {error}") from None


def submit_by_console(federation: Federation, user: str, job: Path) -> str:
    """Submits a job as a person does in the admin console.

    Returns:
        The job's id.

    Raises:
        FedVoxError: the console did not report a submitted job; its last lines say why.
    """
    kit = federation.kits.kit(user)
    target = kit / "transfer" / job.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(job, target)
    done = subprocess.run(
        ["bash", str(kit / "startup" / "fl_admin.sh")],
        input=f"{user}\nsubmit_job {job.name}\nbye\n",
        env=federation.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    text = done.stdout + done.stderr
    marker = "Submitted job: "
    if marker not in text:
        raise FedVoxError(f"the console submitted nothing: {' '.join(text.split()[-30:])}")
    return text.split(marker, 1)[1].split()[0].strip(".,")


def watch(federation: Federation, session: Any, job_id: str, rounds: int) -> str:
    """Shows the rounds as they end and returns the job's final status."""
    from tqdm import tqdm

    state = federation.kits.kit(federation.kits.server) / STATE / job_id
    shown, evaluating = 0, False
    with tqdm(total=rounds, desc="rounds", unit="round", disable=None) as bar:
        while True:
            status = str(session.get_job_status(job_id))
            # The folder below is called by FLARE's name of the server, which is the project's.
            records = state.glob("*/rounds.jsonl")
            done = max((len(path.read_text().splitlines()) for path in records), default=0)
            if bar.disable and shown < min(done, rounds):  # no terminal to draw on
                shown = min(done, rounds)
                print(f"round {shown} of {rounds} is done", flush=True)
            bar.update(min(done, rounds) - bar.n)
            if done >= rounds and not evaluating:
                evaluating = True
                bar.set_description("evaluating every model at every site")
                if bar.disable:
                    print("evaluating every model at every site", flush=True)
            if status.startswith("FINISHED") or status.startswith("FAILED"):
                return status
            time.sleep(1.0)


def require_finished(federation: Federation, job_id: str, status: str) -> None:
    """Raises with the server's first error unless the job was completed.

    Raises:
        FedVoxError: the job's status and why.
    """
    if status == DONE:
        return
    raise FedVoxError(f"the job ended as {status}: {first_error(federation, job_id)}")


def first_error(federation: Federation, job_id: str) -> str:
    """The first ERROR that the server logged for a job.

    The job's own log moves into the job store when the job ends; the console's copy stays.
    """
    console = federation.output(federation.kits.server)
    marks = (" - ERROR - ", f"run={job_id}")
    lines = console.read_text(encoding="utf-8", errors="replace").splitlines()
    found = next((line for line in lines if all(mark in line for mark in marks)), "")
    return found.rpartition("] - ")[2] or f"see {console}"


def closing_text(out: Path) -> str:
    """What a run prints at its end: its Dice table and where its files lie."""
    from fedvox.report.records.run_files import read_run
    from fedvox.report.results import results_text

    run = read_run(out)
    return results_text(run.summary, out, run.phantom)


def collect(federation: Federation, session: Any, job_id: str, work: Path, out: Path) -> Path:
    """Downloads a job's results, adds the pictures that lie at the sites, and draws the page anew.

    On one machine all sites belong to one person; in a real federation pictures stay at the sites.

    Args:
        federation: the running federation.
        session: of somebody who may download the job.
        job_id: the job.
        work: folder for the raw download.
        out: run folder to write; an earlier one is replaced.

    Raises:
        FedVoxError: the download holds no results.
    """
    from fedvox.report.pages.run_page import write_report
    from fedvox.report.results import collect_overlays

    location = Path(session.download_job_result(job_id, str(work / "download")))
    results = location / "workspace" / RESULTS
    if not (results / "summary.csv").is_file():
        raise FedVoxError(f"{location}: the download holds no results")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(results, out)
    folders = [federation.kits.kit(s) / job_id / RESULTS / SITE_REPORT for s in federation.sites]
    model = json.loads((out / "model.json").read_text(encoding="utf-8"))
    last = model["round"] == model["settings"]["training"]["rounds"]
    collect_overlays(folders, out, last)
    write_report(out)
    return out
