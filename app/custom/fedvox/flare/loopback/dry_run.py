"""One whole run on this machine: kits, sites with phantoms, submission, rounds, results."""

import fcntl
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from fedvox.config import read_json
from fedvox.data.site.site_file import SITE_FILE
from fedvox.errors import ConfigError, FedVoxError
from fedvox.files import write_json
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import TRAINING, find_job, job_settings
from fedvox.flare.jobs.overrides import apply_overrides, refuse_repeated
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import Kits
from fedvox.flare.loopback.submission import collect, require_finished, watch
from fedvox.flare.run.site_setup import phantom_site
from fedvox.job.phantom_fit import check_phantoms
from fedvox.job.settings import job_from

MARKER = "FEDVOX_WORK"
_CLAIMED: list[IO[str]] = []
"""Locked files, open as long as this process lives."""


def exit_code(label: str, run: Callable[[], None]) -> int:
    """Runs a command; an error of ours or of a file becomes one line on stderr.

    Returns:
        0, 1 after an error, 130 after Ctrl-C.
    """
    try:
        run()
    except FedVoxError as error:
        print(f"{label}: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or type(error).__name__
        print(f"{label}: error: {where}{reason}; mend it or name another place", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{label}: stopped", file=sys.stderr)
        return 130
    return 0


def site_modalities(
    name: str, overrides: Sequence[str], sites: str | None, count: int
) -> list[str]:
    """Phantom modality of each site, before an earlier run's work folder is emptied.

    Args:
        name: a job in ``jobs/``.
        overrides: changes to ``training.json``.
        sites: what ``--sites`` says, comma-separated; None takes the job's own phantoms, the last
            of them as often as there are sites left.
        count: of sites, where ``--sites`` does not say it.

    Raises:
        ConfigError: the job is unknown, an override is wrong, or ``--sites`` names what the job's
            phantoms cannot be.
    """
    refuse_repeated(overrides)
    settings = apply_overrides(read_json(find_job(name) / TRAINING), overrides)
    if sites is None:
        own = job_from(settings).phantom.modalities
        return [own[min(index, len(own) - 1)] for index in range(count)]
    given = sites.split(",")
    phantom = {**settings.get("phantom", {}), "modalities": given}
    job_from({**settings, "phantom": phantom}, f"--sites {sites}")
    return given


def make_job(
    name: str, work: Path, code: str, overrides: Sequence[str], modalities: Sequence[str]
) -> Path:
    """Exports the job that the run submits.

    Args:
        name: a job in ``jobs/``.
        work: the exported job appears in its folder ``jobs``.
        code: ``preinstalled``, ``carried`` or ``pinned``.
        overrides: changes to ``training.json``.
        modalities: phantom modality of each site, from :func:`site_modalities`.
    """
    out = work / "jobs"
    shutil.rmtree(out / name, ignore_errors=True)
    changes = [*overrides, f"phantom.modalities={json.dumps(list(modalities))}"]
    return export_job(find_job(name), out, code, changes, name)


def write_phantom_sites(kits: Kits, job: Path, work: Path) -> None:
    """Writes phantoms for every site, the same that the simulator uses, and the sites' files."""
    settings = job_settings(job).phantom
    check_phantoms(settings, job_settings(job).data, settings.modalities)
    for site in kits.names("client"):
        data = work / "data" / site
        shutil.rmtree(data, ignore_errors=True)
        described: dict[str, Any] = asdict(phantom_site(site, settings, data))
        described["root"] = str(data.resolve())
        described["cache"] = str((work / "cache" / site).resolve())
        write_json(kits.kit(site) / "local" / SITE_FILE, described)


def finish(
    federation: Federation, session: Any, job_id: str, job: Path, work: Path, out: Path
) -> Path:
    """Watches a submitted job to its end and collects its files.

    Raises:
        FedVoxError: the job failed; names the reason.
    """
    status = watch(federation, session, job_id, job_settings(job).training.rounds)
    require_finished(federation, job_id, status)
    return collect(federation, session, job_id, work, out)


def work_folder(out: Path, *more: Path) -> Path:
    """Makes an empty work folder, ``.work/<name>`` beside the run folder that will be written.

    Args:
        out: run folder that will be written; an earlier run in it will be replaced.
        more: further run folders that will be written.

    Raises:
        ConfigError: one of the folders holds something that is no run of ours, or must not be
            replaced; or a path holds a blank, which FLARE's scripts cannot take; or another process
            works there now.
    """
    check_replaceable(out, *more)
    out = out.resolve()
    work = out.parent / ".work" / out.name
    _claim(work)
    if work.is_dir() and any(work.iterdir()) and not (work / MARKER).is_file():
        raise ConfigError(f"{work} holds files that are not ours; move them away")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / MARKER).write_text("a dry run's work folder; emptied by the next one\n")
    return work


def _claim(work: Path) -> None:
    """Takes a work folder for this process; the system gives it back when the process ends."""
    work.parent.mkdir(parents=True, exist_ok=True)
    stream = work.with_name(f"{work.name}.lock").open("w")
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"another run works in {work}; wait for its end or name another folder with --out"
        ) from None
    _CLAIMED.append(stream)


def check_replaceable(*outs: Path) -> None:
    """Refuses run folders that hold something else than an earlier run.

    Raises:
        ConfigError: names the first such folder.
    """
    here = Path.cwd().resolve()
    for out in (folder.resolve() for folder in outs):
        if out == here or out in here.parents or out == Path.home():
            raise ConfigError(f"{out} would be replaced whole; name a folder of its own with --out")
        is_run = (out / "rounds.jsonl").is_file() and (out / "model.json").is_file()
        is_free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
        if not is_run and not is_free:
            raise ConfigError(
                f"{out} holds other files than a run's; name another folder with --out"
            )
        if any(letter.isspace() for letter in str(out)):
            raise ConfigError(f"{out}: FLARE's start scripts take no path with a blank")
