import shutil
from pathlib import Path

import pytest
from page_markup import check_alone, checked_tags

from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport, check_site
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.finding import FAIL, WARN, Finding
from fedvox.report.pages.data_page import write_data_page
from fedvox.report.pages.run_page import PHANTOM_BANNER

EVIL = '<script>alert("x")</script>'
JOB = DataSettings(organs=("liver",))


def page_of(tmp_path: Path, report: SiteReport, job: DataSettings | None = None) -> str:
    path = tmp_path / "check.html"
    write_data_page(path, report, job)
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(phantom_site, tmp_path_factory) -> SiteReport:
    """Five sound phantoms and one without an image, with thumbnails."""
    root = tmp_path_factory.mktemp("page") / "scans"
    shutil.copytree(phantom_site("ct"), root)
    sorted((root / "images").iterdir())[0].write_bytes(b"")
    site = SiteSettings("phantom", str(root), ("ct",), split="dataset", max_bad_fraction=1.0)
    return check_site(site, pictures=True)


def test_markup_is_balanced_and_headers_have_a_scope(report, tmp_path):
    tags = checked_tags(page_of(tmp_path, report, JOB))
    assert tags.count("img") == 3 + 5 and {"th", "h1", "caption", "details"} <= set(tags)


def test_page_needs_nothing_from_outside(report, tmp_path):
    check_alone(page_of(tmp_path, report))


def test_page_tells_findings_counts_and_figures(report, tmp_path):
    page = page_of(tmp_path, report)
    assert "5 of 6 cases can be used: 2 train, 1 val, 2 test" in page
    assert "the file is empty" in page and "copy it again" in page
    assert report.cases[0].code in page
    for text in ("kidney right", "LPS (5)", "Volume in ml", "Histograms of intensities"):
        assert text in page
    assert PHANTOM_BANNER in page


def test_slices_come_with_the_request_to_keep_the_page_at_the_site(report, tmp_path):
    assert "Keep it at the site" in page_of(tmp_path, report)
    cases = tuple(CaseReport(case.code, case.parts, case.modality) for case in report.cases)
    bare = page_of(tmp_path, SiteReport(cases, (), 0, False, True, ()))
    assert "Keep it at the site" not in bare and 'id="slices"' not in bare
    assert PHANTOM_BANNER not in bare and "Nothing was found" in bare


def test_long_lists_of_codes_fold_away(tmp_path):
    problem = Finding("image", FAIL, "it is damaged", "copy it again")
    cases = tuple(CaseReport(f"code{n:04d}", ("train",), "mr", (problem,)) for n in range(20))
    page = page_of(tmp_path, SiteReport(cases, (), 0, False, False, ()))
    assert "<summary>14 more</summary>" in page and "code0019" in page
    assert "codes hold for one run" in page


def test_every_text_is_escaped(tmp_path):
    problem = Finding(EVIL, WARN, EVIL, EVIL)
    case = CaseReport(EVIL, (EVIL,), EVIL, (problem,), orientation=EVIL)
    page = page_of(tmp_path, SiteReport((case,), (problem,), 0, False, True, ()))
    assert "<script" not in page.lower() and "&lt;script&gt;" in page
