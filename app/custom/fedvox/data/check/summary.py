"""What a check found, in few lines: equal findings together, and figures over all cases."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fedvox.data.cases.missing import missing_words
from fedvox.data.cases.splits import SPLITS
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.finding import FAIL, WARN, Finding


@dataclass(frozen=True)
class FoundIn:
    """A problem and all the cases that have it.

    Attributes:
        problem: what was found.
        cases: codes; empty if it is the site's.
    """

    problem: Finding
    cases: tuple[str, ...] = ()


def findings(report: SiteReport) -> list[FoundIn]:
    """All problems, refusals first, equal ones together.

    What the site has in quarantine already is a warning, not a refusal.
    """
    together: dict[Finding, list[str]] = {}
    for problem in report.problems:
        together.setdefault(problem, [])
    for case in report.cases:
        for problem in case_problems(case):
            together.setdefault(problem, []).append(case.code)
    found = [FoundIn(problem, tuple(cases)) for problem, cases in together.items()]
    return sorted(found, key=lambda finding: finding.problem.status != FAIL)


def case_problems(case: CaseReport) -> list[Finding]:
    """A case's problems as they are shown."""
    if not case.quarantined:
        return list(case.problems)
    if not case.refused:
        message, remedy = "in quarantine, though sound now", "run --quarantine to renew the list"
        return [Finding("quarantine", WARN, message, remedy), *case.problems]
    return [
        replace(problem, status=WARN, message=f"in quarantine: {problem.message}")
        if problem.status == FAIL
        else problem
        for problem in case.problems
    ]


def headline(report: SiteReport) -> str:
    """One line: how many cases can be used, by part."""
    total = len(report.cases)
    if report.split_refused:
        return f"0 of {total} cases can be used, since the split cannot"
    parts = ", ".join(
        f"{report.usable(part)} {part}" for part in SPLITS if any(c.parts for c in report.cases)
    )
    text = f"{report.usable()} of {total} cases can be used" + (f": {parts}" if parts else "")
    text += "; the site only tests, it does not train" if report.external else ""
    return text + (f"; {report.unlisted} are not in the split" if report.unlisted else "")


def ignored_line(report: SiteReport) -> str:
    """One line on voxels that nobody annotated; empty where there are none."""
    shares = [case.ignored for case in report.cases if case.ignored]
    if not shares:
        return ""
    spread = f"{min(shares):.0%} to {max(shares):.0%}" if len(shares) > 1 else f"{shares[0]:.0%}"
    return (
        f"{spread} of the voxels of {len(shares)} of {len(report.cases)} cases are 'ignore': "
        "neither trained nor scored"
    )


def missing_line(report: SiteReport) -> str:
    """One line on channels that cases lack, as the job allows; empty where none does."""
    return missing_words(report.missing, len(report.cases))


def organ_volumes(report: SiteReport) -> dict[str, list[float]]:
    """Volumes in ml of each organ over the cases that hold it."""
    volumes: dict[str, list[float]] = {}
    for case in report.cases:
        for organ, volume in case.organs_ml.items():
            volumes.setdefault(organ, []).append(volume)
    return volumes


def to_mapping(report: SiteReport) -> dict[str, Any]:
    """The report for a script: counts, codes and figures, no names."""
    return {
        "status": FAIL if report.failed else WARN if findings(report) else "PASS",
        "phantom": report.phantom,
        "external": report.external,
        "cases": len(report.cases),
        "usable": {"all": report.usable(), **{part: report.usable(part) for part in SPLITS}},
        "refused": sum(case.refused for case in report.cases),
        "quarantined": sum(case.quarantined for case in report.cases),
        "unlisted": report.unlisted,
        "findings": [
            {**asdict(finding.problem), "cases": list(finding.cases)}
            for finding in findings(report)
        ],
        "spacing_mm": _spread([case.spacing for case in report.cases if case.spacing]),
        "shape": _spread([case.shape for case in report.cases if case.shape]),
        "missing": dict(report.missing),
        "ignored": {
            "cases": sum(case.ignored > 0 for case in report.cases),
            "share": round(float(np.mean([case.ignored for case in report.cases] or [0])), 4),
        },
        "organs_ml": {
            organ: {"cases": len(volumes), "median": round(float(np.median(volumes)), 2)}
            for organ, volumes in sorted(organ_volumes(report).items())
        },
    }


def _spread(rows: list[tuple[float, ...]]) -> Mapping[str, list[float]]:
    """Least, median and largest along right, anterior, superior."""
    if not rows:
        return {}
    quantiles = np.quantile(np.array(rows, float), (0, 0.5, 1), axis=0).round(3).tolist()
    return dict(zip(("least", "median", "most"), quantiles))
