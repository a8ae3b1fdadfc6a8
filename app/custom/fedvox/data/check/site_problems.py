"""What is wrong with a site as a whole, whatever each of its cases is like."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fedvox.data.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.problem import FAIL, WARN, Problem
from fedvox.data.readers import STRAYS
from fedvox.data.settings import DataSettings
from fedvox.data.site import SiteSettings


def site_problems(
    site: SiteSettings,
    job: DataSettings | None,
    cases: Sequence[Case],
    reports: Sequence[CaseReport],
) -> list[Problem]:
    """Judges all cases together.

    Args:
        site: the site file.
        job: data settings of the job that is about to run, or None.
        cases: those of the split.
        reports: what was seen of each, in the same order.
    """
    found = [
        _too_many(site, reports),
        _no_training(reports),
        *map(_emptied, ("val", "test"), [reports] * 2),
        _overlap(reports),
        _never_outlined(cases, reports, job),
        *(_unfit(job, cases) if job else ()),
        *_strays(site),
    ]
    return [problem for problem in found if problem is not None]


def _too_many(site: SiteSettings, reports: Sequence[CaseReport]) -> Problem | None:
    judged = [report for report in reports if not report.quarantined]
    bad = sum(report.refused for report in judged)
    if not bad or bad <= site.max_bad_fraction * len(judged):
        return None
    return Problem(
        "cases",
        FAIL,
        f"{bad} of {len(judged)} cases are refused, more than max_bad_fraction "
        f"{site.max_bad_fraction:g} allows: training would stop here",
        "mend them, or leave them out knowingly with --quarantine",
    )


def _no_training(reports: Sequence[CaseReport]) -> Problem | None:
    usable = [report for report in reports if not (report.refused or report.quarantined)]
    placed = any(report.parts for report in reports)
    if (reports and not placed) or any("train" in report.parts for report in usable):
        return None
    message = f"no case of {len(reports)} can be used for training"
    return Problem("cases", FAIL, message, "look at 'root' and 'split' in the site file")


def _emptied(part: str, reports: Sequence[CaseReport]) -> Problem | None:
    """Notices a part of the split of which no case is left."""
    listed = [report for report in reports if part in report.parts]
    if not listed or any(not (report.refused or report.quarantined) for report in listed):
        return None
    message = f"none of the {len(listed)} cases under '{part}' can be used"
    return Problem("cases", WARN, message, "mend one, or write a new split file")


def _overlap(reports: Sequence[CaseReport]) -> Problem | None:
    count = sum(len(report.parts) > 1 for report in reports)
    if not count:
        return None
    return Problem(
        "split",
        WARN,
        f"{count} of {len(reports)} cases stand in several parts, as allow_overlap permits: "
        "scores on them say nothing about new patients",
        "use allow_overlap for a dry run only",
    )


def _never_outlined(
    cases: Sequence[Case], reports: Sequence[CaseReport], job: DataSettings | None
) -> Problem | None:
    named = {organ for case in cases for organ in case.annotated()}
    if job:
        named &= set(job.organs)
    seen = {organ for report in reports for organ in report.organs_ml}
    absent = sorted(named - seen)
    if not absent:
        return None
    return Problem(
        "organs",
        WARN,
        f"the label table names organs that no case holds: {', '.join(absent)}",
        "take out of the table what nobody outlined; training takes it for background",
    )


def _strays(site: SiteSettings) -> list[Problem]:
    """What lies in the data folder and belongs to no case; nobody would miss it otherwise."""
    count = STRAYS.get(site.dataset)
    return [
        Problem("folder", WARN, f"{kind}: {number}", remedy)
        for kind, remedy, number in (count(Path(site.root)) if count else ())
        if number
    ]


def _unfit(job: DataSettings, cases: Sequence[Case]) -> list[Problem]:
    """Why the job cannot use this site, whatever its cases."""
    found = []
    used = Counter(name for case in cases for name in case.images)
    foreign = sorted(set(used) - set(job.modalities))
    if foreign:
        found.append(
            Problem(
                "modality",
                FAIL,
                f"the job uses {', '.join(job.modalities)}, the site holds {', '.join(foreign)}",
                "do not take part in this job, or mend 'modalities' in the site file",
            )
        )
    if not any(case.annotated() & set(job.organs) for case in cases):
        found.append(
            Problem(
                "organs",
                FAIL,
                f"no case annotates an organ of the job ({', '.join(job.organs)})",
                "compare the label table with the job's organs",
            )
        )
    return found
