"""Checks of a site's data as far as a minute allows; ``fedvox check`` looks at every case."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.missing import (
    missing_channels,
    missing_counts,
    missing_words,
    never_found,
)
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.cases.splits import SPLITS, only_tests, split_cases
from fedvox.data.check.site_problems import empty_parts, fill_parts
from fedvox.data.settings import DataSettings
from fedvox.data.site.quarantine import quarantined
from fedvox.data.site.site_data import ONLY_TESTS, count_prepared, job_cases, listed_cases
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import DataError
from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.job.settings import JobSettings

SAMPLE = 6
SECONDS = 20.0


@dataclass
class Sample:
    """A few cases of the site, prepared as the job asks.

    Attributes:
        listed: cases that the reader lists.
        ready: prepared ones.
        problems: reasons of the others.
        to_prepare: listed cases that do not lie prepared in the site's cache.
        seconds: what looking at the sample took.
        missing: channel of the job -> listed cases that lack it, where they may.
        never_found: what the site file lists and no case has, and what to do, if anything.
    """

    listed: int
    ready: list[PreparedCase]
    problems: list[str]
    to_prepare: int
    seconds: float = 0.0
    missing: Mapping[str, int] = field(default_factory=dict)
    never_found: tuple[str, str] | None = None

    @property
    def seconds_to_prepare(self) -> float:
        """What preparing the rest takes, by the mean time of the sample."""
        return self.to_prepare * self.seconds / max(1, len(self.ready) + len(self.problems))

    @property
    def bytes_to_write(self) -> float:
        """What preparing the rest writes, by the mean size of the sample; 0 without a sample."""
        sizes = [case.path.stat().st_size for case in self.ready]
        return self.to_prepare * sum(sizes) / max(1, len(sizes))


def take_sample(site: SiteSettings, job: JobSettings, folder: Path) -> Sample:
    """Prepares a few cases, evenly spread over the list, within a time limit.

    What the site has in quarantine is not looked at, as training leaves it out.

    Raises:
        DataError: from :func:`list_cases`, or the list of the quarantine is damaged.
        OSError: the site's cache or its key cannot be read.
    """
    cases = list_cases(site, job.data)
    left_out = quarantined(site, cases)
    cases = [case for case in cases if case.id not in left_out]
    chosen = [cases[i * len(cases) // SAMPLE] for i in range(min(SAMPLE, len(cases)))]
    left = len(cases) - count_prepared(site, job.data, cases)
    missing = missing_counts([missing_channels(case, job.data) for case in cases], job.data)
    held = sum(bool(case.images) for case in cases)  # others are refused, not counted
    absent = never_found(missing, held, site.modalities, job.data)
    sample = Sample(len(cases), [], [], left, missing=missing, never_found=absent)
    start = time.monotonic()
    for case in chosen if len(cases) > SAMPLE else cases:
        try:
            sample.ready.append(prepare_case(case, job.data, folder, b"doctor"))
        except DataError as error:
            sample.problems.append(str(error))
        sample.seconds = time.monotonic() - start
        if sample.seconds > SECONDS:
            break
    return sample


def list_cases(site: SiteSettings, settings: DataSettings | None = None) -> Sequence[Case]:
    """The reader's cases, at least one.

    Args:
        site: the site file.
        settings: of the job that is about to run; without it the cases are as the reader has them.

    Raises:
        ConfigError: the site's modalities do not fit the job.
        DataError: the folder is not in the reader's layout or holds no case.
    """
    cases = listed_cases(site) if settings is None else job_cases(site, settings)
    if not cases:
        raise DataError("the reader finds no case; compare 'root' with docs/data.md")
    return cases


def label_problems(sample: Sample) -> list[str]:
    """Reasons that speak of a label and not of an image."""
    return [reason for reason in sample.problems if "label" in reason]


def check_listing(site: SiteSettings) -> Finding:
    """Does the site file lead to cases? All that can be said without a job."""
    found = f"the site file leads to {len(list_cases(site))} cases"
    return passed("data", f"{found}, none was opened: --job reads a sample")


def check_split(site: SiteSettings) -> Finding:
    """Has every part of the split a case? A site that only tests has one part."""
    split = split_cases(list_cases(site), site.split)
    if only_tests(site.split):
        return _check_tests(len(split["test"]))
    empty = [part for part in SPLITS if not split[part]]
    if "train" in empty:
        remedy = "list cases under 'train' in a split file (docs/data.md, Splits)" + ONLY_TESTS
        return Finding("split", FAIL, "no case stands under 'train'", remedy)
    if empty:
        return Finding("split", WARN, empty_parts(empty), fill_parts(empty, site.split))
    counts = ", ".join(f"{len(split[part])} {part}" for part in SPLITS)
    return passed("split", f"cases: {counts}")


def _check_tests(cases: int) -> Finding:
    if not cases:
        message = "the site only tests, and no case stands under 'test'"
        return Finding("split", FAIL, message, "list cases under 'test' in the split file")
    return passed("split", f"cases: {cases} test; the site only tests, it does not train")


def check_data(sample: Sample) -> Finding:
    """Can cases be read, with the numbers of their modality, and is no modality lost altogether?"""
    looked = len(sample.ready) + len(sample.problems)
    labels = label_problems(sample)
    images = [reason for reason in sample.problems if reason not in labels]
    if images:
        return Finding(
            "data",
            FAIL,
            f"{len(images)} of {looked} sampled cases cannot be used: {images[0]}",
            "mend or remove them; docs/data.md lists what is checked",
        )
    if sample.never_found:
        return Finding("data", WARN, *sample.never_found)
    missing = missing_words(sample.missing, sample.listed)
    found = f"{looked} of {sample.listed} cases sampled, all readable"
    return passed("data", f"{found}; {missing}" if missing else found)


def check_labels(sample: Sample, job: JobSettings) -> Finding:
    """Do labels fit their images, and is an organ of the job annotated?"""
    labels = label_problems(sample)
    if labels:
        return Finding(
            "labels",
            FAIL,
            f"{len(labels)} sampled cases have wrong labels: {labels[0]}",
            "mend the labels or the label table",
        )
    annotated = sorted({organ for case in sample.ready for organ in case.annotated})
    if not annotated:
        return Finding(
            "labels",
            FAIL,
            "no sampled case annotates an organ of the job",
            f"the job needs one of {', '.join(job.data.organs)}",
        )
    absent = [organ for organ in job.data.organs if organ not in annotated]
    note = f"; not annotated here: {', '.join(absent)}" if absent else ""
    return passed("labels", f"annotated: {', '.join(annotated)}{note}")
