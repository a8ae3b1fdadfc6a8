"""What label tables and mask names say, held against what the labels hold.

Of what could not be read nothing is said: only cases whose label was read count as looked at.
"""

from collections.abc import Sequence
from dataclasses import replace

from fedvox.data.cases.case import FIXED, MASK, Case
from fedvox.data.check.case import CaseReport
from fedvox.data.organ_names import listed, meant, unknown_names
from fedvox.data.organs import PARENTS
from fedvox.data.settings import DataSettings
from fedvox.finding import FAIL, WARN, Finding


def table_problems(
    job: DataSettings | None, cases: Sequence[Case], reports: Sequence[CaseReport]
) -> list[Finding]:
    """Judges the names of structures over all cases.

    Args:
        job: data settings of the job that is about to run, or None.
        cases: those of the split.
        reports: what was seen of each, in the same order.
    """
    if not cases:
        return []
    found = [
        _unknown(cases),
        _nothing_known(job, cases),
        _never_outlined(cases, reports, job),
        _not_annotated(job, cases),
    ]
    return [problem for problem in found if problem is not None]


def _unknown(cases: Sequence[Case]) -> Finding | None:
    """Names of organs that are spelt in a way that nobody knows would train background."""
    names = unknown_names(name for case in cases for name in case.others)
    if not names:
        return None
    remedy = (
        "rename what is one of FedVox's organs (docs/data.md, Label names), one per side where "
        "there are two; leave the others"
    )
    if has_masks(cases):  # a file's name may be a patient's
        message = (
            "there are masks under names that FedVox does not know, which it trains as background: "
            f"{len(names)}{meant(names)}"
        )
        return Finding("organs", WARN, message, f"{remedy}; --list FILE names them")
    message = (
        f"{_where(cases)} {listed(names)}, which FedVox does not know: it trains them as background"
    )
    return Finding("organs", WARN, message, remedy)


def _nothing_known(job: DataSettings | None, cases: Sequence[Case]) -> Finding | None:
    if job or any(case.annotated() for case in cases):
        return None  # with a job it is refused for not holding that job's organs
    return Finding(
        "organs",
        FAIL,
        f"{_where(cases)} no organ that FedVox knows",
        "name organs as docs/data.md does under Label names",
    )


def _never_outlined(
    cases: Sequence[Case], reports: Sequence[CaseReport], job: DataSettings | None
) -> Finding | None:
    read = [(case, report) for case, report in zip(cases, reports) if report.label_read]
    named = {organ for case, _ in read for organ in case.annotated()}
    if job:
        named &= set(job.organs)
    covered = {lost for _, report in read for lost, _ in report.overlaps}  # said as an overlap
    absent = sorted(named - covered - {organ for _, r in read for organ in r.organs_ml})
    if not absent or has_fixed_table(cases):  # its table names every organ
        return None
    if len(read) < len(cases):
        held = f"none of the {len(read)} cases that could be read holds"
        remedy = f"mend the cases that could not be read ({len(cases) - len(read)}) and check again"
    else:
        held, thing = "no case holds", "mask files" if has_masks(cases) else "table entries"
        remedy = (
            f"remove the {thing} of what nobody outlined, since training takes it for absent; "
            "leave those of organs that lie outside every scan"
        )
    message = f"{_where(cases)} organs that {held}: {', '.join(absent)}"
    return Finding("organs", WARN, message, remedy)


def _not_annotated(job: DataSettings | None, cases: Sequence[Case]) -> Finding | None:
    """Partly labelled sites are normal; an organ that is lost by its name is not."""
    if not job:
        return None
    annotated = {organ for case in cases for organ in case.annotated()}
    absent = [organ for organ in job.organs if organ not in annotated]
    if not absent or len(absent) == len(job.organs):  # then the job cannot use the site at all
        return None
    return Finding(
        "organs",
        WARN,
        f"no case annotates {', '.join(absent)}, which the job trains: this site cannot teach "
        f"{'it' if len(absent) == 1 else 'them'}",
        "leave it: this data set does not outline it"
        if has_fixed_table(cases)
        else "if the labels hold it, name it as docs/data.md does under Label names; else leave it",
    )


def name_overlaps(reports: Sequence[CaseReport], job: DataSettings | None) -> list[CaseReport]:
    """Tells each case whose masks overlap, in words that are the same for all of them.

    Args:
        reports: of a site's cases.
        job: whose organs matter, or None for all.
    """
    worst: dict[tuple[str, str], list[float]] = {}
    for report in reports:
        for pair, share in report.overlaps.items():
            if job is None or set(pair) <= set(job.organs):
                worst.setdefault(pair, []).append(share)
    problems = {pair: _overlap(pair, max(shares)) for pair, shares in worst.items()}
    return [
        replace(
            report,
            problems=(*report.problems, *(problems[p] for p in report.overlaps if p in problems)),
        )
        for report in reports
    ]


def _overlap(pair: tuple[str, str], share: float) -> Finding:
    lost, won = pair
    rule = "a part of an organ covers others" if won in PARENTS else "the later file by name wins"
    return Finding(
        "overlap",
        WARN,
        f"the masks of {lost} and {won} overlap by up to {share:.2%} of the smaller one, and these "
        f"voxels become {won} ({rule})",
        f"leave it if that is right, else take the common voxels out of the mask of {won}",
    )


def _where(cases: Sequence[Case]) -> str:
    return "there are masks of" if has_masks(cases) else "the label table names"


def has_masks(cases: Sequence[Case]) -> bool:
    """Whether structures are told by the names of mask files, not by a table."""
    return any(file.told_by == MASK for case in cases for file in case.labels)


def has_fixed_table(cases: Sequence[Case]) -> bool:
    """Whether the reader brings the table, which the site cannot mend."""
    return any(file.told_by == FIXED for case in cases for file in case.labels)
