import json
from dataclasses import replace

import pytest

from fedvox.inference.evaluate import score_cases
from fedvox.inference.evaluation_report import evaluation_report
from fedvox.job.model import initial_model
from fedvox.metrics.table import MetricRow, SharedSummary, from_dict


@pytest.fixture
def report_of(job, open_phantom, cpu):
    def report(share: str):
        site = open_phantom("ct", "site-1", share)
        return site, evaluation_report(initial_model(job), "global_last", site, job, cpu)

    return report


def test_no_case_row_leaves_a_site_that_shares_summaries(report_of):
    site, report = report_of("summary")
    assert report["rows"] == []
    assert report["shared"]
    travelling = json.dumps(report)
    assert not [case.code for case in site.cases if case.code in travelling]


def test_summaries_count_cases_per_split(report_of, job):
    _, report = report_of("summary")
    shared = [from_dict(SharedSummary, row) for row in report["shared"]]
    counts = {(row.split, row.organ): row.cases for row in shared}
    organs = [*job.data.organs, "mean"]
    expected = {("val", organ): 1 for organ in organs} | {("test", organ): 2 for organ in organs}
    assert counts == expected


def test_rows_of_a_site_that_shares_cases_are_those_of_scoring(report_of, job, cpu):
    site, report = report_of("cases")
    assert report["shared"] == []
    rows = [from_dict(MetricRow, row) for row in report["rows"]]
    model = initial_model(job)
    expected = [
        replace(row, case=f"phantom-{row.case}")
        for split, cases in (("val", site.val), ("test", site.test))
        for row in score_cases(model, "global_last", cases, job, site.name, split, cpu)
    ]
    assert [str(row) for row in rows] == [str(row) for row in expected]  # NaN equals NaN as text


def test_an_image_that_a_site_lists_twice_is_told_once(report_of, job, cpu, open_phantom):
    site = open_phantom("ct", "site-1", "cases")
    twice = replace(site, test=[*site.test, site.test[0]])
    report = evaluation_report(initial_model(job), "global_last", twice, job, cpu)
    assert str(report["rows"]) == str(report_of("cases")[1]["rows"])


def test_training_cases_are_never_reported(report_of):
    site, report = report_of("cases")
    assert {row["split"] for row in report["rows"]} == {"val", "test"}
    assert not {row["case"] for row in report["rows"]} & {case.code for case in site.train}


def test_validation_is_told_in_either_form(report_of):
    validations = [report_of(share)[1]["validation"] for share in ("cases", "summary")]
    assert validations[0] == validations[1]
    (dice, cases) = validations[0]["ct"]
    assert cases == 1
    assert 0 <= dice <= 1


def test_report_is_plain_json(report_of):
    for share in ("cases", "summary"):
        report = report_of(share)[1]
        assert json.loads(json.dumps(report, allow_nan=False)) == report
