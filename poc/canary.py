"""Does a patient's name leave a hospital when things break? A dry run that crashes on purpose.

One hospital reads phantoms whose file names, folders and NIfTI headers hold an invented patient's
name, number and birthday. Jobs are submitted one after the other; in each, another call of the
site's process crashes, with the same words in its message. Then everything that has left the site
is searched for them: the server's disk with its logs, job store and checkpoints, the console
output of the server, and what the researcher downloaded.

Examples:
    python poc/canary.py
    python poc/canary.py --crashes 5 --out runs/canary
"""

import argparse
import itertools
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib

from fedvox.data.site.site_file import SITE_FILE
from fedvox.errors import FedVoxError
from fedvox.files import write_json
from fedvox.flare.loopback.dry_run import exit_code, make_job, work_folder
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits, free_ports, provision, read_project, with_ports
from fedvox.flare.loopback.submission import submit
from fedvox.phantoms.writer import write_phantom_site

ROOT = Path(__file__).parent
PROJECT = ROOT / "project.yml"
USER = "admin@poc.org"
SITE = "site-1"
CANARIES = ("quastenbauer", "xanthippe", "19550317", "1955-03-17", "4711081547")
PATIENT = "Quastenbauer_Xanthippe_19550317_4711081547"
CALLS = (
    ("fedvox.data.cases.prepare_all", "prepare_case", 2),
    ("fedvox.data.cases.channels", "load_image", 1),
    ("fedvox.data.cases.label_map", "load_label", 2),
    ("fedvox.data.cases.prepare", "write_tensors", 1),
    ("fedvox.training.local_round", "draw_batch", 2),
    ("fedvox.training.local_round", "save_optimizer", 1),
    ("fedvox.inference.evaluate", "predict_scores", 1),
    ("fedvox.inference.evaluate", "score_case", 1),
    ("fedvox.flare.executor", "write_arrays", 1),
    ("fedvox.flare.executor", "draw_site_pictures", 1),
)
ERRORS = ("OSError", "ValueError", "KeyError", "RuntimeError", "SIGKILL")
PATIENCE = 45.0
"""Seconds after which a job is aborted."""
TINY = (
    "data.spacing=[12,12,12]",
    "data.patch=[16,16,16]",
    "network.channels=[4,8]",
    "training.steps=2",
    "training.rounds=1",
    "training.device=cpu",
)


@dataclass(frozen=True)
class Hit:
    """A canary that was found: in which file below which folder, and which one."""

    place: str
    canary: str


def main() -> int:
    """Runs it; exit code 0 only if all crashes happened and no canary left the site."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    total = len(CALLS) * len(ERRORS)
    parser.add_argument("--crashes", type=int, default=total, help=f"1 to {total} (default all)")
    parser.add_argument("--out", type=Path, default=Path("runs/canary"), help="folder to work in")
    args = parser.parse_args()
    return exit_code("canary", lambda: run(args.crashes, args.out))


def run(crashes: int, out: Path) -> None:
    """Plants, crashes, searches; the last line is one JSON object.

    Raises:
        FedVoxError: a canary left the site, or a crash did not happen.
    """
    work = work_folder(out)
    kits = make_kits(work)
    plan, data = work / "plan.json", work / f"Patienten/{PATIENT}"
    plant(data)
    cache = work / "cache"
    write_json(kits.kit(SITE) / "local" / SITE_FILE, site_file(data, cache))
    job = make_job("fedgin", work, "pinned", TINY, ["ct"])
    changes = {"FEDVOX_CRASH": str(plan), "PYTHONPATH": str(ROOT / "crash")}
    happened = 0
    with (
        Federation(kits, changes=changes) as federation,
        federation.joined(USER, print) as session,
    ):
        for number, crash in enumerate(crash_plans(kits, work, data)[:crashes], start=1):
            shutil.rmtree(cache / "prepared", ignore_errors=True)
            mark = Path(crash["mark"])
            mark.unlink(missing_ok=True)
            write_json(plan, crash)
            status = crash_once(session, job, work)
            happened += mark.is_file()
            print(f"{number}: {crash['error']} in {crash['function']}: job {status}")
    left = list(search(kits.kit(kits.server)))
    left += list(search(federation.output(kits.server)))
    left += list(search(work / "download"))
    kept = [hit for path in kits.kit(SITE).glob("*log*") for hit in search(path)]
    for hit in (*left, *kept):
        print(f"{hit.canary} in {hit.place}")
    if not list(search(data)):
        raise FedVoxError("the search does not even find the planted words in the data folder")
    figures = {"crashes": happened, "left_the_site": len(left), "in_the_sites_logs": len(kept)}
    print(json.dumps(figures))
    if left or happened < crashes:
        raise FedVoxError(f"{len(left)} canaries left the site, {happened} of {crashes} crashed")


def make_kits(work: Path) -> Kits:
    """Kits of a server, one hospital and one researcher, on free ports."""
    project = with_ports(read_project(PROJECT), *free_ports(2))
    site = {"name": SITE, "type": "client", "org": "hospital_1"}
    project["participants"] = [*project["participants"], site]
    return provision(project, work / "kits", "poc")


def plant(data: Path) -> None:
    """Writes phantoms as a plain folder with the patient's words wherever a scanner leaves them."""
    write_phantom_site(data, "ct", {"train": 2, "val": 1, "test": 1}, 0, 1, spacing_mm=12)
    (data / "phantom.json").unlink()
    for number, image in enumerate(sorted((data / "images").iterdir())):
        for path in (image, data / "labels" / image.name):
            volume = nib.load(path)
            volume.header["descrip"] = PATIENT.encode()
            volume.header["intent_name"] = b"Xanthippe"
            volume.header["aux_file"] = b"19550317"
            name = f"{PATIENT}_{number}.nii.gz"
            nib.save(type(volume)(volume.dataobj, None, volume.header), path.with_name(name))
            path.unlink()


def site_file(data: Path, cache: Path) -> dict[str, Any]:
    """A hospital that shares per-case rows: the most that can leave."""
    names = [path.name.removesuffix(".nii.gz") for path in sorted((data / "images").iterdir())]
    split = data / "split.json"
    write_json(split, {"train": names[:2], "val": names[2:3], "test": names[3:]})
    return {
        "dataset": "plain",
        "root": str(data.resolve()),
        "modalities": ["ct"],
        "split": str(split.resolve()),
        "cache": str(cache.resolve()),
        "share": "cases",
    }


def crash_plans(kits: Kits, work: Path, data: Path) -> list[dict[str, Any]]:
    """Every error at every call, different calls first."""
    scan = min((data / "images").iterdir())
    text = f"{scan} of {PATIENT}, born 1955-03-17"
    return [
        {
            "module": module,
            "function": function,
            "call": call,
            "error": error,
            "text": text,
            "folder": str(kits.kit(SITE).resolve()),
            "mark": str(work.resolve() / "crashed"),
        }
        for error, (module, function, call) in itertools.product(ERRORS, CALLS)
    ]


def crash_once(session: Any, job: Path, work: Path) -> str:
    """Submits the job, waits for its end and downloads what there is.

    A job whose site was killed may wait for it for ever, so it is aborted after a while.
    """
    job_id = submit(session, job, work)
    deadline = time.monotonic() + PATIENCE
    while not (status := str(session.get_job_status(job_id))).startswith(("FINISHED", "FAILED")):
        if time.monotonic() > deadline:
            session.abort_job(job_id)
            deadline = time.monotonic() + PATIENCE
        time.sleep(0.5)
    session.download_job_result(job_id, str(work / "download"))
    return status


def search(place: Path) -> Iterator[Hit]:
    """Looks for every canary in the files below a place, their names, and what archives hold."""
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    for path in files:
        name = path.relative_to(place.parent).as_posix()
        yield from found(name, name.encode())
        yield from found(name, path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.namelist():
                    yield from found(f"{name}:{entry}", entry.encode() + archive.read(entry))


def found(place: str, content: bytes) -> Iterator[Hit]:
    """The canaries in some bytes, whatever their letter case."""
    text = content.lower()
    yield from (Hit(place, canary) for canary in CANARIES if canary.encode() in text)


if __name__ == "__main__":
    sys.exit(main())
