"""The README of an exported job: what this job is, not what its source was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fedvox
from fedvox.config import flattened
from fedvox.data.settings import DataSettings
from fedvox.job.settings import JobSettings, read_job

_SERVER = "config_fed_server.json"
_PLANNER = "fedvox.flare.plan_server.FedVoxStatistics"
_SIMULATED = 2
"""Sites that FLARE's simulator runs when nobody says how many."""
_CODE = {
    "preinstalled": "None: configuration only. Every site runs its own installed package.",
    "carried": "A copy of the package under `app/custom`, with a manifest of every file.",
    "pinned": "The installed package; `app/custom` holds its version alone.",
}


def write_readme(folder: Path, source: Path, code: str) -> None:
    """Writes the README of a job that is being exported.

    Args:
        folder: of the job, with its own settings and, if it has one, its plan.
        source: folder of the job that it was exported from.
        code: ``preinstalled``, ``carried`` or ``pinned``.
    """
    training = Path("app/config/training.json")
    job, before = read_job(folder / training), read_job(source / training)
    text = job_readme(
        job,
        before,
        code,
        planned=(folder / training).with_name("plan.json").is_file(),
        plans_only=_PLANNER in (folder / training).with_name(_SERVER).read_text(encoding="utf-8"),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def job_readme(
    job: JobSettings,
    before: JobSettings,
    code: str,
    *,
    planned: bool = False,
    plans_only: bool = False,
) -> str:
    """Describes an exported job.

    Args:
        job: its settings.
        before: the settings of the job that it was exported from.
        code: ``preinstalled``, ``carried`` or ``pinned``.
        planned: whether values of a plan run are among the settings.
        plans_only: whether it plans and trains nothing.
    """
    data, training = job.data, job.training
    does = "**Trains nothing**: plans spacing, patch, batch and CT window for"
    length = "It reads the sites' training cases."
    if not plans_only:
        does = "**Trains** one 3D network for"
        length = (
            f"Augmentation: {job.augmentation.name}. {training.rounds} rounds of {training.steps} "
            f"steps, batch {training.batch}."
        )
    changed = "\n".join([*_changes(job, before), *_extras(planned, job)])
    return f"""# {job.name}

{does} {", ".join(data.organs)} over {_sites(data)}.
{length}

**Exported** from the job `{before.name}` with fedvox {fedvox.__version__}. The README of that job
says what the method is; the results that it expects hold for its settings, not for these.

## What was changed

{changed or "No setting."}

## Code

{_CODE[code]}

## Run it

```bash
{_run(job, code)}
```

All numbers stand in `app/config/training.json`.
"""


def _sites(data: DataSettings) -> str:
    """What the sites hold, in words."""
    if data.channels:
        return f"sites with {', '.join(name.upper() for name in data.channels)} of each case"
    return f"{' and '.join(name.upper() for name in data.modalities)} sites"


def _changes(job: JobSettings, before: JobSettings) -> Iterator[str]:
    """A table of the settings that differ, none if there are none."""
    old, new = flattened(before), flattened(job)
    keys = [key for key in new if key != "name" and new[key] != old.get(key)]
    if keys:
        yield "| setting | source | here |"
        yield "|---|---|---|"
    for key in keys:
        yield f"| `{key}` | {_cell(old.get(key))} | {_cell(new[key])} |"


def _extras(planned: bool, job: JobSettings) -> Iterator[str]:
    if planned:
        yield "\nSpacing, patch, batch and CT window are those of `app/config/plan.json`."
    if job.waiting.sites > 1:
        yield f"\nIt waits for {job.waiting.sites} sites before it starts."


def _cell(value: Any) -> str:
    return f"`{json.dumps(value)}`".replace("|", "\\|")


def simulator_line(place: str, job: JobSettings) -> str:
    """The simulator's command with as many sites as the job speaks of, where its own 2 are too few.

    Args:
        place: the job's folder, as the command shall name it.
        job: its settings; each entry of ``phantom.modalities`` or ``phantom.quality`` is a site.
    """
    listed = max(len(job.phantom.modalities), len(job.phantom.quality))
    sites = max(listed, job.waiting.sites)
    return f"nvflare simulator {place}" + (f" -n {sites} -t {sites}" if sites > _SIMULATED else "")


def _run(job: JobSettings, code: str) -> str:
    """How to run or submit it, from the folder that holds the job's folder."""
    if code == "pinned":
        return simulator_line(job.name, job)
    judge = "job diff" if code == "carried" else "doctor --kit KIT --job"
    return f"fedvox {judge} {job.name}   # at each site\nnvflare job submit -j {job.name}"
