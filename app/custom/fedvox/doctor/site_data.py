"""What can be said of a site's data, without a job and with one."""

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from fedvox.data.cases.splits import only_tests
from fedvox.data.site.site_file import SITE_FILE, SiteSettings
from fedvox.doctor import host, job
from fedvox.doctor.run_check import run_check
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.job.settings import JobSettings

UNWRITTEN = Finding(
    "data", WARN, f"no local/{SITE_FILE} yet", f"write {SITE_FILE} before the site takes part"
)
_UNREAD = Finding(
    "data",
    FAIL,
    "not read, since PyTorch is not installed here",
    "run it where the site trains, or pip install -r requirements.txt",
)


def has_torch() -> bool:
    """Can this installation read volumes and train?"""
    return find_spec("torch") is not None


def examine_data(
    site: SiteSettings | ConfigError | None,
    settings: JobSettings | None,
    job_folder: Path | None,
    free: float,
    tell: Callable[[str], None],
) -> tuple[host.Requirements, list[Finding]]:
    """Findings about the data, and what the job was seen to take with it.

    Args:
        site: the site file, or what is wrong with it; None where there is none.
        settings: of the job that is about to run, if there is one.
        job_folder: its folder.
        free: free memory in bytes.
        tell: is called with the check's name before it runs.
    """
    if site is None:
        return host.Requirements(), []
    if isinstance(site, ConfigError):
        return host.Requirements(), [_unreadable(site)]
    if not has_torch():
        return host.Requirements(), [_UNREAD]
    tell("data")
    if settings is None or job_folder is None:
        return host.Requirements(), _listing_findings(site)
    return _job_findings(site, settings, job_folder, free)


def _listing_findings(site: SiteSettings) -> list[Finding]:
    """What can be said of the data without a job."""
    from fedvox.doctor import data

    findings = [run_check("data", lambda: data.check_listing(site))]
    if findings[0].status != FAIL:
        findings.append(run_check("split", lambda: data.check_split(site)))
    return findings


def _unreadable(error: ConfigError) -> Finding:
    message, _, remedy = str(error).rpartition("; ")
    return Finding("data", FAIL, message or remedy, remedy if message else "mend the file")


def _job_findings(
    site: SiteSettings, settings: JobSettings, job_folder: Path, free: float
) -> tuple[host.Requirements, list[Finding]]:
    from fedvox.data.cases.channels import unfit_modalities

    if unfit := unfit_modalities(site.modalities, settings.data):
        return host.Requirements(), [Finding("data", FAIL, *unfit)]
    with tempfile.TemporaryDirectory() as name:
        return _measured(site, settings, job_folder, Path(name), free)


def _measured(
    site: SiteSettings, settings: JobSettings, job_folder: Path, folder: Path, free: float
) -> tuple[host.Requirements, list[Finding]]:
    """Findings about a sample of the data, and what the job was seen to take with it."""
    from fedvox.doctor import data, measure

    taken: list[data.Sample] = []
    rounds: list[measure.Measured] = []

    def sampled() -> Finding:
        taken.append(data.take_sample(site, settings, folder))
        return data.check_data(taken[0])

    def waited() -> Finding:
        if only_tests(site.split):
            return passed("waiting", "the site only tests: no round was measured")
        if free < measure.LEAST_MEMORY:
            return Finding("waiting", WARN, "no round was measured, for want of memory", "see ram")
        rounds.append(measure.measure_round(taken[0], settings))
        return job.check_waiting(job_folder, rounds[0].seconds, taken[0].seconds_to_prepare)

    with measure.PeakMemory() as memory:
        findings = [run_check("data", sampled)]
        if taken:
            findings.append(run_check("split", lambda: data.check_split(site)))
        if taken and (taken[0].ready or data.label_problems(taken[0])):
            findings.append(run_check("labels", lambda: data.check_labels(taken[0], settings)))
        if taken and taken[0].ready:
            findings.append(run_check("waiting", waited))
    if not rounds:
        return host.Requirements(), findings
    needs = host.Requirements(memory.bytes, rounds[0].gpu, taken[0].bytes_to_write, rounds[0].state)
    return needs, findings
