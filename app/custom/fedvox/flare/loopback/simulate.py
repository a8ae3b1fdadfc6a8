"""A job under FLARE's simulator, from Python: all sites are processes of this machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from fedvox.data.site.site_file import SITE_VARIABLE, SiteSettings
from fedvox.data.site.site_names import check_site_names
from fedvox.errors import ConfigError, FedVoxError
from fedvox.files import write_json
from fedvox.flare.run.places import RESULTS, SIMULATOR_JOB
from fedvox.report.records.failure import read_failure

WORKSPACE = "run"


def simulate(
    job: Path,
    sites: Mapping[str, SiteSettings] | int,
    work: Path,
    threads: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Runs a job folder under the simulator, which computes what a federation computes.

    Args:
        job: a folder of ``jobs/``, or an export with ``--code pinned``.
        sites: name -> what its ``fedvox_site.json`` says; a number of sites takes the job's
            phantoms, as ``site-1``, ``site-2``, ...
        work: folder for site files and, below ``run``, for the simulator, which empties that.
        threads: sites that compute at the same time, which changes no number; 0 is all of them, at
            most twice as many as there are cores. With fewer threads than sites FLARE starts a
            new process for each task, which takes seconds.
        tell: is called with each line that is printed.

    Returns:
        The run's folder, with ``summary.csv``, ``metrics.csv``, ``rounds.jsonl`` and the model.

    Raises:
        ConfigError: no site, or a name that no site may have.
        FedVoxError: the run failed; with the reason that its ``failure.json`` gives.
    """
    names = [f"site-{k + 1}" for k in range(sites)] if isinstance(sites, int) else list(sites)
    if not names:
        raise ConfigError("a run needs a site; name at least one")
    check_site_names(names)
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != SITE_VARIABLE}
    if not isinstance(sites, int):
        environment[SITE_VARIABLE] = _write_sites(sites, work / "sites")
    count = threads or min(len(names), 2 * (os.cpu_count() or 1))
    command = [sys.executable, "-m", "nvflare.cli", "simulator", str(job.resolve())]
    command += ["-c", ",".join(names), "-t", str(count), "-w", str(work / WORKSPACE)]
    code = _run(command, work, {**environment, "PYTHONUNBUFFERED": "1"}, tell)
    results = results_folder(work)
    failure = read_failure(results) if results.is_dir() else None
    if failure is not None:
        raise FedVoxError(failure.text)
    if code:
        raise FedVoxError(f"the simulator ended with code {code}; its last lines say why ('tell')")
    return results


def results_folder(work: Path) -> Path:
    """Where a run in a work folder leaves its files."""
    return work / WORKSPACE / "server" / SIMULATOR_JOB / RESULTS


def _write_sites(sites: Mapping[str, SiteSettings], folder: Path) -> str:
    """Writes a site file for each; ``{site}`` in the result stands for a site's name."""
    for name, settings in sites.items():
        write_json(folder / f"{name}.json", asdict(settings))
    return str(folder / "{site}.json")


def _run(
    command: list[str], folder: Path, environment: dict[str, str], tell: Callable[[str], None]
) -> int:
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            tell(line.rstrip("\n"))
    return process.returncode
