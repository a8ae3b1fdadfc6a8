"""``run.json``: which run the other files of a folder belong to, and who took part in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fedvox
from fedvox.config import build, read_json, to_mapping
from fedvox.errors import ConfigError
from fedvox.files import write_readable_json
from fedvox.metrics.table import MEAN_ORGAN, MetricRow, SharedSummary

RUN_RECORD = "run.json"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SiteCases:
    """One site's cases; None where the site did not say.

    Attributes:
        site: the site's name.
        train: training cases that it registered.
        val: validation cases that it scored with a global or a site's model.
        test: test cases that it scored.
        coarse: test cases with voxels larger than the tolerance of NSD.
    """

    site: str
    train: int | None = None
    val: int | None = None
    test: int | None = None
    coarse: int = 0


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


def write_run_record(
    folder: Path,
    job: str,
    job_id: str,
    registered: Mapping[str, int],
    coarse: Mapping[str, int],
    rows: Sequence[MetricRow],
    shared: Sequence[SharedSummary],
) -> RunRecord:
    """Writes ``run.json``.

    Args:
        folder: the run's folder.
        job: the job's name.
        job_id: FLARE's id of the run.
        registered: site -> training cases.
        coarse: site -> test cases with voxels larger than the tolerance of NSD.
        rows: per-case rows that sites share.
        shared: summaries of the other sites.
    """
    scored = _scored(rows, shared)
    names = sorted({*registered, *scored})
    sites = []
    for name in names:
        val, test = scored.get(name, (None, None))
        sites.append(SiteCases(name, registered.get(name), val, test, coarse.get(name, 0)))
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    record = RunRecord(job, job_id, written, fedvox.__version__, tuple(sites))
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
    """The cases of all sites in a split as text: ``72 train``; says which sites told none."""
    counts = [getattr(site, split) for site in sites]
    known = [count for count in counts if count is not None]
    if not known:
        return f"{split} not known"
    silent = len(counts) - len(known)
    gap = f" ({silent} site{'s' if silent > 1 else ''} not counted)" if silent else ""
    return f"{sum(known)} {split}{gap}"


def _scored(
    rows: Sequence[MetricRow], shared: Sequence[SharedSummary]
) -> dict[str, tuple[int, int]]:
    """Per site the validation and test cases that it scored, whatever the model."""
    cases: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        cases.setdefault(row.site, {}).setdefault(row.split, set()).add(row.case)
    counts = {
        site: {split: len(found) for split, found in own.items()} for site, own in cases.items()
    }
    for site, split, count in _shared_counts(shared):
        counts.setdefault(site, {})[split] = count
    return {site: (own.get("val", 0), own.get("test", 0)) for site, own in counts.items()}


def _shared_counts(shared: Sequence[SharedSummary]) -> list[tuple[str, str, int]]:
    """Site, split and cases: per modality those of the model with most of them, then summed."""
    most: dict[tuple[str, str, str], int] = {}
    for part in shared:
        if part.organ == MEAN_ORGAN:
            key = (part.site, part.split, part.modality)
            most[key] = max(most.get(key, 0), part.cases)
    places = sorted({key[:2] for key in most})
    return [
        (site, split, sum(n for key, n in most.items() if key[:2] == (site, split)))
        for site, split in places
    ]
