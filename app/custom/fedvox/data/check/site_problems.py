"""What is wrong with a site as a whole, whatever each of its cases is like."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import refuse_several, unfit_modalities
from fedvox.data.cases.missing import missing_counts, never_found
from fedvox.data.cases.splits import NAMED
from fedvox.data.check.case import CaseReport
from fedvox.data.check.refusal import refusal
from fedvox.data.check.table_problems import has_fixed_table, table_problems
from fedvox.data.readers import STRAYS
from fedvox.data.readers.strays import Stray
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_data import ONLY_TESTS
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, WARN, Finding

WITHOUT = {
    "val": "the site has no say in which model is the best",
    "test": "nothing is reported on this site's data",
}
"""What a site is without that has no case in a part of the split."""


def site_problems(
    site: SiteSettings,
    job: DataSettings | None,
    cases: Sequence[Case],
    reports: Sequence[CaseReport],
    strays: Sequence[Stray],
    external: bool = False,
) -> list[Finding]:
    """Judges all cases together.

    Args:
        site: the site file.
        job: data settings of the job that is about to run, or None.
        cases: those of the split.
        reports: what was seen of each, in the same order.
        strays: what belongs to no case.
        external: the site only tests, as its split says.
    """
    found = [
        _too_many(site, reports),
        *(_about_parts(site, reports) if not external else [_no_test(site, reports)]),
        _overlap(reports),
        *(_unfit(job, site, cases) if job else ()),
        _never_found(job, site, reports),
        _incomplete(cases) if job is None else None,
        *table_problems(job, cases, reports),
        *map(_passed_over, strays),
    ]
    return [problem for problem in found if problem is not None]


def _too_many(site: SiteSettings, reports: Sequence[CaseReport]) -> Finding | None:
    judged = [report for report in reports if not report.quarantined]
    bad = sum(report.refused for report in judged)
    if not bad or bad <= site.max_bad_fraction * len(judged):
        return None
    return Finding(
        "cases",
        FAIL,
        f"{bad} of {len(judged)} cases are refused, more than max_bad_fraction "
        f"{site.max_bad_fraction:g} allows: training would stop here",
        "mend them, or leave them out knowingly with --quarantine",
    )


def _about_parts(site: SiteSettings, reports: Sequence[CaseReport]) -> list[Finding | None]:
    """What a site that trains lacks."""
    emptied = map(_emptied, ("val", "test"), [reports] * 2)
    return [_no_training(site, reports), *emptied, _without(site, reports)]


def _no_test(site: SiteSettings, reports: Sequence[CaseReport]) -> Finding | None:
    """A site that only tests needs a test case, and nothing else."""
    if any(not (report.refused or report.quarantined) for report in reports):
        return None
    if not reports and site.split not in NAMED:
        message = "the site only tests, and no case stands under 'test'"
        return Finding("cases", FAIL, message, "list cases under 'test' in the split file")
    message = f"no case of {len(reports)} can be used for testing, and the site does not train"
    return Finding("cases", FAIL, message, "mend one, or look at 'root' and 'split'")


def _no_training(site: SiteSettings, reports: Sequence[CaseReport]) -> Finding | None:
    usable = [report for report in reports if not (report.refused or report.quarantined)]
    placed = any(report.parts for report in reports)
    if (reports and not placed) or any("train" in report.parts for report in usable):
        return None
    message = f"no case of {len(reports)} can be used for training"
    remedy = "mend cases under 'train', or look at 'root' and 'split' in the site file"
    if reports and not any("train" in report.parts for report in reports):
        remedy = fill_parts(["train"], site.split) + ONLY_TESTS
    elif reports and not usable:
        remedy = "mend one of the cases above"
    return Finding("cases", FAIL, message, remedy)


def _emptied(part: str, reports: Sequence[CaseReport]) -> Finding | None:
    """Notices a part of the split of which no case is left."""
    listed = [report for report in reports if part in report.parts]
    if not listed or any(not (report.refused or report.quarantined) for report in listed):
        return None
    message = f"none of the {len(listed)} cases under '{part}' can be used: {WITHOUT[part]}"
    return Finding("cases", WARN, message, "mend one, or write a new split file")


def _without(site: SiteSettings, reports: Sequence[CaseReport]) -> Finding | None:
    """Notices a split without validation or without test cases."""
    empty = [part for part in WITHOUT if not any(part in report.parts for report in reports)]
    if not empty or not any(report.parts for report in reports):
        return None  # without any part the split itself is wrong
    return Finding("split", WARN, empty_parts(empty), fill_parts(empty, site.split))


def empty_parts(empty: Sequence[str]) -> str:
    """What a site lacks, and what follows.

    Args:
        empty: ``val``, ``test`` or both.
    """
    return "; ".join(f"no case stands under '{part}': {WITHOUT[part]}" for part in empty)


def fill_parts(empty: Sequence[str], split: str) -> str:
    """How cases come into parts of the split that have none.

    Args:
        empty: ``val``, ``test`` or both.
        split: as the site file has it.
    """
    parts = " and ".join(f"'{part}'" for part in empty)
    if split not in NAMED:
        return f"list cases under {parts} in the split file, each in one part only"
    reason = "few patients leave parts empty" if split == "hash" else "the set's own split has none"
    return (
        f"{reason}: write a split file with cases under 'train', 'val' and 'test' and name it "
        "under 'split' in the site file (docs/data.md, Splits)"
    )


def _overlap(reports: Sequence[CaseReport]) -> Finding | None:
    count = sum(len(report.parts) > 1 for report in reports)
    if not count:
        return None
    return Finding(
        "split",
        WARN,
        f"{count} of {len(reports)} cases stand in several parts, as allow_overlap permits: "
        "scores on them say nothing about new patients",
        "use allow_overlap for a dry run only",
    )


def _passed_over(stray: Stray) -> Finding:
    """What nobody would miss otherwise; its names stand in a list that the site asks for."""
    message, remedy = f"{stray.kind}: {len(stray.paths)}", f"{stray.remedy}; --list FILE names them"
    return Finding("folder", WARN, message, remedy)


def strays_of(site: SiteSettings) -> list[Stray]:
    """What lies in a site's data folder and belongs to no case, but for the site's own cache."""
    look = STRAYS.get(site.dataset)
    try:
        strays = look(Path(site.root), site.modalities) if look else []
        own = Path(site.cache) if site.cache else None  # resolved when the site file was read
        kept = (
            replace(stray, paths=tuple(path for path in stray.paths if path != own))
            for stray in strays
        )
        return [stray for stray in kept if stray.paths]
    except OSError as error:  # beside the cases, which were listed before
        return [
            Stray(
                "entries that cannot be read, so nobody looked what else belongs to no case",
                "mend their rights, or move them elsewhere, and check again",
                (Path(error.filename or site.root),),
            )
        ]


def _several(cases: Sequence[Case]) -> list[Finding]:
    try:
        refuse_several(cases)
    except ConfigError as error:
        return [refusal("modality", error)]
    return []


def _never_found(
    job: DataSettings | None, site: SiteSettings, reports: Sequence[CaseReport]
) -> Finding | None:
    """Not refused: the other modalities train all the same."""
    counts = missing_counts([report.missing for report in reports], job)
    held = sum(bool(report.modality) for report in reports)  # others are refused, not counted
    found = never_found(counts, held, site.modalities, job)
    return Finding("channels", WARN, *found) if found else None


def _incomplete(cases: Sequence[Case]) -> Finding | None:
    """Each is refused, since nobody knows without a job whether it may lack an image."""
    there = [[path.exists() for path in case.images.values()] for case in cases]
    count = sum(any(found) and not all(found) for found in there)
    if not count:
        return None
    return Finding(
        "channels",
        WARN,
        f"{count} of {len(cases)} cases lack images of modalities that the site file lists",
        "before leaving them out, check with --job: a job may allow this and use them as they are",
    )


def _unfit(job: DataSettings, site: SiteSettings, cases: Sequence[Case]) -> list[Finding]:
    """Why the job cannot use this site, whatever its cases."""
    found = []
    held = {name for case in cases for name in case.images}
    unfit = unfit_modalities(site.modalities if job.channels else sorted(held), job)
    if unfit:
        found.append(Finding("modality", FAIL, *unfit))
    elif not job.channels:
        found += _several(cases)
    if cases and not any(case.annotated() & set(job.organs) for case in cases):
        found.append(
            Finding(
                "organs",
                FAIL,
                f"no case annotates an organ of the job ({', '.join(job.organs)})",
                "do not take part in this job: the data set has no such organ"
                if has_fixed_table(cases)
                else "compare the label table with the job's organs",
            )
        )
    return found
