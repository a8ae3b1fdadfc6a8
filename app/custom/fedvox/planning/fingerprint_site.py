"""The fingerprint of a site: its training cases read one by one, none prepared, none from the test.

Listing is quick and done when a run starts; reading takes as long as ``fedvox check`` does.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.config import read_json
from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import has_needed, refuse_missing
from fedvox.data.cases.in_work import working_on
from fedvox.data.cases.prepare_all import count_workers
from fedvox.data.cases.prepared import prepared_path
from fedvox.data.cases.splits import only_tests, split_cases
from fedvox.data.settings import DataSettings
from fedvox.data.site.fatal import NONE, REASON, Fatal
from fedvox.data.site.quarantine import quarantined
from fedvox.data.site.site_data import PURPOSES, job_cases
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.source import source_of
from fedvox.errors import ConfigError, DataError
from fedvox.files import PRIVATE, write_json
from fedvox.planning.fingerprint import (
    FEATURES,
    CaseFingerprint,
    Fingerprint,
    case_fingerprint,
    summarise_cases,
)
from fedvox.planning.groups import plan_group


@dataclass(frozen=True)
class TrainingCases:
    """A site's training cases, listed and not yet read.

    Attributes:
        cases: those that are not in quarantine; none of a site that only tests.
        settings: the job's data settings; a case that lacks a channel which it needs is unusable.
        quarantined: number of those that are.
        phantom: True when the data are phantoms.
        source: as in :class:`fedvox.data.site.site_data.SiteData`.
        tests: test cases of a site that only tests.
    """

    cases: Sequence[Case]
    settings: DataSettings
    quarantined: int = 0
    phantom: bool = False
    source: str = field(default="")
    tests: Sequence[Case] = ()

    @property
    def external(self) -> bool:
        """Whether the site only tests: nothing is planned by its cases."""
        return bool(self.tests)

    @property
    def modalities(self) -> list[str]:
        """Modality sets among the usable cases, sorted."""
        return sorted(_counted((*self.cases, *self.tests), self.settings))

    @property
    def counts(self) -> dict[str, int]:
        """Modality set -> training cases with the channels that the job needs."""
        return _counted(self.cases, self.settings)

    @property
    def test_counts(self) -> dict[str, int]:
        """The same of the test cases of a site that only tests."""
        return _counted(self.tests, self.settings)

    def annotated(self, organs: Sequence[str]) -> list[str]:
        """Organs of the job that the cases' label tables name, sorted."""
        return sorted({o for case in self.cases for o in case.annotated()} & set(organs))


def _counted(cases: Sequence[Case], settings: DataSettings) -> dict[str, int]:
    """Modality set -> cases that have the channels which the job needs, by name."""
    found = Counter(case.modality for case in cases if has_needed(case, settings))
    return dict(sorted(found.items()))


def list_training_cases(name: str, site: SiteSettings, settings: DataSettings) -> TrainingCases:
    """Lists what a site would train on, or what one that only tests would test with.

    Args:
        name: the site's name.
        site: the site file.
        settings: the job's data settings.

    Raises:
        ConfigError: the site's modalities do not fit the job, or the split is wrong.
        DataError: no such case, or a listing that cannot be read.
    """
    listed = job_cases(site, settings)
    part = "test" if only_tests(site.split) else "train"
    split = split_cases(listed, site.split)
    placed = split[part]
    left_out = quarantined(site, placed)
    cases = [case for case in placed if case.id not in left_out]
    if not cases:
        raise DataError(
            f"{name}: no {PURPOSES[part]} case among {len(listed)}; check 'root' and 'split' in "
            "the site file"
        )
    phantom = site.dataset == "phantom" or (Path(site.root) / "phantom.json").is_file()
    source = source_of(site, listed, split)
    kept = TrainingCases(cases, settings, len(left_out), phantom, source)
    return kept if part == "train" else replace(kept, cases=(), tests=cases)


def read_fingerprints(
    name: str,
    site: SiteSettings,
    listed: TrainingCases,
    organs: Sequence[str],
    stop: Callable[[], bool] = lambda: False,
    fatal: Fatal = NONE,
) -> dict[str, Fingerprint] | None:
    """Reads every training case.

    Args:
        name: the site's name.
        site: the site file.
        listed: from :func:`list_training_cases`.
        organs: the job's organs.
        stop: asked before each case; True ends the work without a result.
        fatal: cases that ended earlier processes; they count as unusable.

    Returns:
        Group of :mod:`fedvox.planning.groups` -> fingerprint, or None when the work was stopped.

    Raises:
        DataError: more unusable cases than ``max_bad_fraction`` allows.
    """
    from tqdm import tqdm

    def read(case: Case) -> CaseFingerprint | str | None:
        return None if stop() else _read(case, listed.settings, organs, fatal)

    with ThreadPoolExecutor(count_workers(1 if fatal.one_by_one else site.workers)) as pool:
        bar = tqdm(
            pool.map(read, listed.cases),
            desc=f"{name}: reading cases",
            total=len(listed.cases),
            disable=None,
        )
        found = list(bar)
    if stop():
        return None
    refused = [entry for entry in found if isinstance(entry, str)]
    if len(refused) > site.max_bad_fraction * len(found):
        raise DataError(
            f"{name}: {len(refused)} of {len(found)} training cases are unusable, more than "
            f"max_bad_fraction {site.max_bad_fraction:g} allows; the first since {refused[0]}"
        )
    groups: dict[str, list[CaseFingerprint | str | None]] = {}
    for case, entry in zip(listed.cases, found, strict=True):
        if has_needed(case, listed.settings):
            groups.setdefault(plan_group(case.modality, listed.settings), []).append(entry)
    return {
        group: summarise_cases(group, len(own), [e for e in own if isinstance(e, CaseFingerprint)])
        for group, own in sorted(groups.items())
    }


def _read(
    case: Case, settings: DataSettings, organs: Sequence[str], fatal: Fatal
) -> CaseFingerprint | str:
    """The fingerprint of a case, or why it cannot be used."""
    try:
        refuse_missing(case, settings.channels, settings.missing_channels)
        # nothing is prepared there; the name stays at the site, so it needs no secret
        name = prepared_path(case, settings, Path(), b"")
        if name.stem in fatal.names:
            return REASON
        with working_on(name):
            return case_fingerprint(case, organs)
    except DataError as error:
        return str(error)


def write_fingerprints(path: Path, fingerprints: Mapping[str, Fingerprint]) -> None:
    """Keeps a site's fingerprints for its next process; only their owner reads them."""
    content = {
        modality: {
            "cases": own.cases,
            "counted": dict(own.counted),
            "histograms": {name: list(map(float, bins)) for name, bins in own.histograms.items()},
        }
        for modality, own in fingerprints.items()
    }
    write_json(path, content, PRIVATE)


def kept_fingerprints(path: Path) -> dict[str, Fingerprint] | None:
    """What :func:`write_fingerprints` kept, or None when there is nothing whole."""
    if not path.is_file():
        return None
    try:
        content = read_json(path, "the kept fingerprint")
        return {modality: _kept(own) for modality, own in content.items()}
    except (ConfigError, LookupError, TypeError, ValueError, AttributeError):
        return None


def _kept(content: Mapping[str, Any]) -> Fingerprint:
    histograms = {name: np.array(bins, float) for name, bins in content["histograms"].items()}
    if any(len(bins) != FEATURES[name].count for name, bins in histograms.items()):
        raise ValueError("other bins")
    return Fingerprint(int(content["cases"]), dict(content["counted"]), histograms)
