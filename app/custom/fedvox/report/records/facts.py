"""Which run it was, in a few words: for the head of the page and of the console's table."""

from collections import Counter
from collections.abc import Mapping

from fedvox.data.settings import singles
from fedvox.inference.model_files.description import untrained
from fedvox.metrics.hd95 import MAX_DIRECTED, TITLES
from fedvox.metrics.models import BEST, LAST
from fedvox.metrics.table import ALL_SITES
from fedvox.report.records.rounds import training_rounds
from fedvox.report.records.run_files import RunFiles
from fedvox.report.records.run_record import SPLITS, cases_text

SIMULATED = "simulate_job"
"""The id that FLARE gives to every run of its simulator."""


def job_name(run: RunFiles) -> str:
    """The job's name, or the folder's where no file tells it."""
    named = run.record.job if run.record else run.model.get("job")
    return str(named or run.folder.resolve().name)


def run_facts(run: RunFiles) -> tuple[str, str]:
    """Two lines: job, date, job id and version; sites by modality, rounds and cases by split."""
    record = run.record
    version = record.fedvox_version if record else run.model.get("fedvox_version")
    first = [
        job_name(run),
        f"{record.written} UTC" if record else "date not on record",
        _job_id(record.job_id) if record else "job id not on record",
        f"fedvox {version}" if version else "",
    ]
    trained = training_rounds(run.rounds)
    second = [
        _sites_text(site_modalities(run)) + _external_text(run),
        f"{trained} round{'' if trained == 1 else 's'}",
        _cases_text(run),
    ]
    return ", ".join(part for part in first if part), "; ".join(second)


def site_modalities(run: RunFiles) -> dict[str, tuple[str, ...]]:
    """Site -> its modalities, as far as the rounds' records and the scores tell them."""
    found: dict[str, set[str]] = {}
    for site in run.record.sites if run.record else ():
        found.setdefault(site.site, set())
    for record in run.rounds:
        for part in record.get("contributors") or []:
            names = str(part.get("modality") or "").split(",")
            found.setdefault(str(part.get("site", "?")), set()).update(filter(None, names))
    for row in run.listed:
        if row.site != ALL_SITES:
            found.setdefault(row.site, set()).add(row.modality)
    return {site: tuple(sorted(found[site])) for site in sorted(found)}


def hd95_title(run: RunFiles) -> str:
    """What the run's HD95 is."""
    return TITLES.get(str(run.evaluation.get("hd95", MAX_DIRECTED)), TITLES[MAX_DIRECTED])


def tolerance_note(run: RunFiles) -> str:
    """A warning where the tolerance of NSD lies below every voxel edge of test cases."""
    tolerance = run.evaluation.get("nsd_tolerance_mm")
    sites = [site for site in run.record.sites if site.coarse] if run.record else []
    if not sites or not isinstance(tolerance, int | float):
        return ""
    where = ", ".join(f"{site.coarse} of {site.site}" for site in sites)
    return (
        f"NSD: the tolerance of {tolerance:g} mm is below every voxel edge of test cases "
        f"({where}), where only coinciding voxels count; raise evaluation.nsd_tolerance_mm to "
        "their smallest edge"
    )


def personal_note(run: RunFiles) -> str:
    """That whole models lie at the sites alone, where they kept tensors or the server read none."""
    if run.encrypted:
        return (
            "model.safetensors here is encrypted, as the server had it; each site has the model in "
            "the clear, in fedvox/own_model/ of its run folder"
        )
    if not run.personal:
        return ""
    return (
        f"{BEST} and {LAST} are not one model each: 'training.personal' "
        f"({', '.join(run.personal)}) stayed at the sites, and each site scored its cases with its "
        "own; the complete models lie there, in fedvox/own_model/ of each site's run folder"
    )


def untrained_note(run: RunFiles) -> str:
    """Which modalities of the test cases the model never saw in training; empty without any."""
    scored = sorted(singles(row.modality for row in run.summary))
    names = untrained(run.model, scored)
    if not names:
        return ""
    return f"no site trained {', '.join(names)}; scores of it show how the model does regardless"


def _job_id(job_id: str) -> str:
    return "simulated" if job_id == SIMULATED else f"job {job_id}"


def _sites_text(sites: Mapping[str, tuple[str, ...]]) -> str:
    counts = Counter(
        ", ".join(m.upper() for m in names) or "modality unknown" for names in sites.values()
    )
    parts = ", ".join(f"{count} with {names}" for names, count in sorted(counts.items()))
    return f"{len(sites)} site{'' if len(sites) == 1 else 's'}" + (f" ({parts})" if parts else "")


def _external_text(run: RunFiles) -> str:
    """Who of the sites trains nothing."""
    count = len(run.external)
    return f", {count} of them external (only test{'s' if count == 1 else ''})" if count else ""


def _cases_text(run: RunFiles) -> str:
    if run.record is None:
        return "numbers of cases not on record"
    return "cases: " + ", ".join(cases_text(run.record.sites, split) for split in SPLITS)
