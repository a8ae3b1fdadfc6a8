"""Every case of a site: read, compared with the others, judged."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import in_job_order, unfit_modalities
from fedvox.data.cases.missing import missing_channels, missing_counts
from fedvox.data.cases.splits import only_tests, split_cases
from fedvox.data.check.case import CaseReport, examine_case
from fedvox.data.check.leaks import ordered, refuse_shared_patients, refuse_twins
from fedvox.data.check.refusal import refusal
from fedvox.data.check.site_problems import site_problems, strays_of
from fedvox.data.check.table_problems import name_overlaps
from fedvox.data.check.workers import run_all
from fedvox.data.readers.strays import Stray
from fedvox.data.settings import DataSettings
from fedvox.data.site.quarantine import quarantined
from fedvox.data.site.site_data import listed_cases
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import KEY_BYTES, PHANTOM_KEY, fingerprint, site_key
from fedvox.errors import ConfigError, DataError
from fedvox.finding import FAIL, Finding


@dataclass(frozen=True)
class SiteReport:
    """What a check of a site found.

    Attributes:
        cases: one report per case, in the order train, validation, test.
        problems: of the site as a whole.
        unlisted: cases of the data set that no part lists; they were not read.
        phantom: whether the data are phantoms.
        lasting: whether the codes hold beyond this run, as they do with a cache.
        refused: cases that are refused, in quarantine or not, with their first reason.
        sources: the cases behind the reports, in the same order; nothing of them is printed.
        outside: cases of the data set that no part lists.
        strays: what lies in the data folder and belongs to no case.
        external: whether the site only tests.
        missing: channel of the job -> cases that lack it, where they may.
    """

    cases: tuple[CaseReport, ...]
    problems: tuple[Finding, ...]
    unlisted: int
    phantom: bool
    lasting: bool
    refused: tuple[tuple[Case, str], ...]
    sources: tuple[Case, ...] = ()
    outside: tuple[Case, ...] = ()
    strays: tuple[Stray, ...] = ()
    external: bool = False
    missing: Mapping[str, int] = field(default_factory=dict)

    def usable(self, part: str = "") -> int:
        """Number of cases that training would use, of one part or of all."""
        if self.split_refused:
            return 0
        return sum(
            not (case.refused or case.quarantined) and (not part or part in case.parts)
            for case in self.cases
        )

    @property
    def split_refused(self) -> bool:
        """Whether the split itself cannot be used, so that no case can."""
        return any(p.check == "split" and p.status == FAIL for p in self.problems)

    @property
    def failed(self) -> bool:
        """Whether anything is refused that is not in quarantine."""
        return any(p.status == FAIL for p in self.problems) or any(
            case.refused and not case.quarantined for case in self.cases
        )


def check_site(
    site: SiteSettings,
    job: DataSettings | None = None,
    workers: int = 1,
    pictures: bool = False,
    progress: bool = False,
    renew: bool = False,
) -> SiteReport:
    """Reads every case of a site and compares all with all.

    Args:
        site: the site file.
        job: data settings of the job that is about to run, or None.
        workers: processes that read; each needs up to 2 GiB for the largest CT.
        pictures: cuts a thumbnail of each case.
        progress: shows a bar on a terminal.
        renew: the quarantine list is written anew afterwards, so a damaged one does not matter.

    Raises:
        DataError: the folder is not in the reader's layout, a process died, or the quarantine list
            is damaged.
        ConfigError: the reader is unknown or the site file does not fit it.
    """
    channels = job.channels if job else ()
    listed = [in_job_order(case, channels) for case in listed_cases(site)]
    key = code_key(site)
    placed, problems = _placed(listed, site)
    cases = [case for case, _ in placed]
    left_out = _left_out(site, cases, renew)
    seen = run_all(_tasks(site, job, cases, pictures), workers, progress)
    reports = [
        replace(
            report,
            code=fingerprint(case, key),
            parts=parts,
            quarantined=case.id in left_out,
            missing=missing_channels(case, job),
        )
        for (case, parts), report in zip(placed, seen)
    ]
    reports = name_overlaps(refuse_twins(cases, reports), job)
    if site.split == "dataset":
        reports = refuse_shared_patients(cases, reports)
    strays = strays_of(site)
    external = not problems and only_tests(site.split)
    problems += site_problems(site, job, cases, reports, strays, external)
    inside = {case.id for case in cases}
    return SiteReport(
        cases=tuple(reports),
        problems=tuple(problems),
        unlisted=len(listed) - len(cases),
        phantom=site.dataset == "phantom" or (Path(site.root) / "phantom.json").is_file(),
        lasting=bool(site.cache) or site.dataset == "phantom",
        refused=tuple(_refused(cases, reports)),
        sources=tuple(cases),
        outside=tuple(case for case in listed if case.id not in inside),
        strays=tuple(strays),
        external=external,
        missing=missing_counts([report.missing for report in reports], job),
    )


def _tasks(
    site: SiteSettings, job: DataSettings | None, cases: Sequence[Case], pictures: bool
) -> list[tuple[Callable[..., CaseReport], tuple[object, ...]]]:
    """What workers are to do; of a site that does not fit no case is asked for channels."""
    organs = job.organs if job else ()
    fits = job is not None and not unfit_modalities(site.modalities, job)
    needed = (job.channels, job.missing_channels) if job and fits else ()
    return [(examine_case, (case, organs, pictures, *needed)) for case in cases]


def code_key(site: SiteSettings) -> bytes:
    """The key of the codes; without a cache one that is forgotten after this run."""
    if site.cache:
        return site_key(Path(site.cache), site)
    return PHANTOM_KEY if site.dataset == "phantom" else secrets.token_bytes(KEY_BYTES)


def _placed(
    listed: Sequence[Case], site: SiteSettings
) -> tuple[list[tuple[Case, tuple[str, ...]]], list[Finding]]:
    """Cases with their parts; a split that cannot be used stops training, not the check."""
    try:
        return ordered(split_cases(listed, site.split)), []
    except (ConfigError, DataError) as error:
        return [(case, ()) for case in listed], [refusal("split", error)]


def _left_out(site: SiteSettings, cases: Sequence[Case], renew: bool) -> dict[str, str]:
    try:
        return quarantined(site, cases)
    except DataError:
        if renew:
            return {}
        raise


def _refused(cases: Sequence[Case], reports: Sequence[CaseReport]) -> Iterable[tuple[Case, str]]:
    for case, report in zip(cases, reports):
        reasons = [problem.message for problem in report.problems if problem.status == FAIL]
        if reasons:
            yield case, reasons[0]
