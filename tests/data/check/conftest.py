"""A plain site with a split file and a cache, and the reports of its cases."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fedvox.data.cases.case import Case
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import fingerprint, site_key

NAMES = [f"miller_anna_{number}" for number in range(5)]


@pytest.fixture
def site(tmp_path: Path, make_plain_site: Callable[..., Path]) -> SiteSettings:
    """Five cases: three for training, one for validation, one for the test."""
    root = make_plain_site(tmp_path / "scans", NAMES)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": NAMES[:3], "val": NAMES[3:4], "test": NAMES[4:]}))
    return SiteSettings(
        "plain", str(root), ("mr",), split=str(split), cache=str(tmp_path / "cache")
    )


@pytest.fixture
def report_of() -> Callable[[SiteSettings, SiteReport, str], CaseReport]:
    """A function to the report of the case with an identifier."""

    def find(site: SiteSettings, report: SiteReport, name: str) -> CaseReport:
        code = fingerprint(Case(name, name, {}, ()), site_key(Path(site.cache), site))
        (found,) = [case for case in report.cases if case.code == code]
        return found

    return find


@pytest.fixture
def checks() -> Callable[[CaseReport], Sequence[tuple[str, str]]]:
    """A function to the (check, status) pairs of a case."""

    def read(report: CaseReport) -> list[tuple[str, str]]:
        return [(problem.check, problem.status) for problem in report.problems]

    return read
