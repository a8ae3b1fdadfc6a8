"""``run.json``: which run the other files of a folder belong to, and who took part in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fedvox
from fedvox.config import build, read_json, to_mapping
from fedvox.errors import ConfigError
from fedvox.files import write_readable_json

RUN_RECORD = "run.json"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SiteCases:
    """The cases that a site registered.

    Attributes:
        site: the site's name.
        train: training cases.
        val: validation cases.
        test: test cases.
        coarse: test cases with every voxel edge above the tolerance of NSD.
        external: the site only tests.
    """

    site: str
    train: int = 0
    val: int = 0
    test: int = 0
    coarse: int = 0
    external: bool = False


@dataclass(frozen=True)
class RunRecord:
    """What identifies a run.

    Attributes:
        job: the job's name.
        job_id: FLARE's id of the run; ``simulate_job`` under the simulator.
        written: when the results were written, UTC, as ``2026-11-25 19:14``.
        fedvox_version: of the server.
        sites: the sites that registered, by name.
    """

    job: str
    job_id: str
    written: str
    fedvox_version: str
    sites: tuple[SiteCases, ...] = ()


def write_run_record(folder: Path, job: str, job_id: str, sites: Iterable[SiteCases]) -> RunRecord:
    """Writes ``run.json``.

    Args:
        folder: the run's folder.
        job: the job's name.
        job_id: FLARE's id of the run.
        sites: the sites that take part.
    """
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    ordered = tuple(sorted(sites, key=lambda site: site.site))
    record = RunRecord(job, job_id, written, fedvox.__version__, ordered)
    write_readable_json(folder / RUN_RECORD, to_mapping(record))
    return record


def read_run_record(folder: Path) -> RunRecord | None:
    """Reads ``run.json``; None for a folder of an older version, which has none.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / RUN_RECORD
    if not path.is_file():
        return None
    values = read_json(path)
    sites = values.get("sites")
    if not isinstance(sites, list):
        raise ConfigError(f"{path}: 'sites' is no list; take the file from the run again")
    plain = {key: value for key, value in values.items() if key != "sites"}
    record = build(RunRecord, plain, str(path))
    return RunRecord(
        record.job,
        record.job_id,
        record.written,
        record.fedvox_version,
        tuple(build(SiteCases, site, str(path)) for site in sites),
    )


def cases_text(sites: Sequence[SiteCases], split: str) -> str:
    """The cases of all sites in a split as text: ``72 train``."""
    return f"{sum(getattr(site, split) for site in sites)} {split}"
