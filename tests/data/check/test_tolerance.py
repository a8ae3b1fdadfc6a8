from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.data.check.tolerance import tolerance_warning


def report(*sizes: float, part: str = "test") -> SiteReport:
    cases = [CaseReport(f"c{i}", (part,), "ct", spacing=(s, 9.0, s)) for i, s in enumerate(sizes)]
    return site(cases)


def site(cases: list[CaseReport]) -> SiteReport:
    return SiteReport(tuple(cases), (), 0, False, True, ())


def test_test_cases_with_larger_voxels_than_the_tolerance_are_counted():
    line = tolerance_warning(report(5.0, 2.5, 3.0), 3.0)
    assert "tolerance of 3 mm in the job is below every voxel edge of 1 of 3 test cases" in line
    assert "smallest edge up to 5 mm" in line and "evaluation.nsd_tolerance_mm" in line


def test_fine_voxels_and_cases_that_are_never_scored_say_nothing():
    assert tolerance_warning(report(1.0, 3.0), 3.0) == ""
    assert tolerance_warning(report(9.0, part="train"), 3.0) == ""
    unread = CaseReport("c", ("test",), "ct")
    assert tolerance_warning(site([unread]), 3.0) == ""
