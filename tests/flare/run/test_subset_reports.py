"""Reports on modality subsets, held against what the site registered."""

import json
from dataclasses import replace

import pytest

from fedvox.admission.registration import Registration
from fedvox.data.settings import subsets
from fedvox.flare.run.report_form import report_form
from fedvox.inference.evaluation_report import evaluation_report
from fedvox.job.model import initial_model
from fedvox.privacy.forms import FormError
from fedvox.privacy.reports import check_report
from fedvox.training.local_update import case_counts

WHOLE = "t1+t2+flair"
SEVEN = set(subsets(WHOLE.split("+")))


@pytest.fixture
def model(subset_job):
    return initial_model(subset_job)


@pytest.fixture
def site(open_brats, subset_job):
    return open_brats(job=subset_job, share="cases")


@pytest.mark.parametrize("share", ["cases", "summary"])
def test_reports_of_global_models_speak_of_subsets_and_pass_where_the_cases_are_registered(
    site, subset_job, model, cpu, share
):
    own = replace(site, share=share)
    form = report_form(subset_job, "site-1", "SRV_global_last", registered(own))
    report = evaluation_report(model, "global_last", own, subset_job, cpu)
    check_report(report, form)
    check_report(report, report_form(subset_job, "site-1", "SRV_global_last"))  # at the site
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    told = report["rows"] + report["shared"]
    assert {row["modality"] for row in told if row["split"] == "test"} == SEVEN
    assert {row["modality"] for row in told if row["split"] == "val"} == {WHOLE}
    assert set(report["validation"]) == {WHOLE}


def test_a_sites_own_model_is_scored_on_all_that_a_case_has(site, subset_job, model, cpu):
    report = evaluation_report(model, "site-2", site, subset_job, cpu)
    check_report(report, report_form(subset_job, "site-1", "site-2", registered(site)))
    assert {row["modality"] for row in report["rows"]} == {WHOLE}


def test_subsets_of_another_model_or_of_more_cases_are_refused(site, subset_job, model, cpu):
    report = evaluation_report(model, "global_last", site, subset_job, cpu)
    known = registered(site)
    renamed = {**report, "rows": [row | {"model": "site-2"} for row in report["rows"]]}
    with pytest.raises(FormError, match=r"more (rows|cases) than"):
        check_report(renamed, report_form(subset_job, "site-1", "site-2", known))
    fewer = replace(known, test={"t1+flair": 1})
    with pytest.raises(FormError, match=r"more (rows|cases) than"):
        check_report(report, report_form(subset_job, "site-1", "SRV_global_last", fewer))


def registered(site):
    return Registration(
        version="1",
        label_map="m",
        modalities=tuple(site.modalities),
        training=case_counts(site.train),
        validation=case_counts(site.val),
        test=case_counts(site.test),
    )
