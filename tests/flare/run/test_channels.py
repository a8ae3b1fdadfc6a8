"""What a site of a job with channels tells, held against the forms of everything that leaves it."""

import dataclasses

import pytest

from fedvox.admission.refusals import site_refusals
from fedvox.admission.registration import Registration
from fedvox.aggregation.claims import check_claims, claims_of
from fedvox.errors import ConfigError
from fedvox.flare.run.messages import update_from
from fedvox.flare.run.report_form import report_form
from fedvox.inference.evaluation_report import evaluation_report
from fedvox.job.model import initial_model
from fedvox.privacy.forms import FormError
from fedvox.privacy.outgoing import check_report
from fedvox.training.local_update import case_counts, local_update

SET = "t1+t2+flair"


@pytest.fixture
def site(open_brats):
    return open_brats(share="cases")


def test_claims_of_a_round_are_of_the_jobs_one_set(site, channel_job, tmp_path, cpu):
    update = local_update(initial_model(channel_job), site, channel_job, 0, tmp_path, cpu)
    claims, sets = claims_of(update), channel_job.data.modality_sets
    check_claims(claims, sets)
    assert claims["modality"] == SET and set(claims["validation"]) == {SET}
    again = update_from("site-1", claims, update.arrays, 0, sets)
    assert again.validation == update.validation
    for wrong in ("flair+t1+t2", "t1", "t1,t2,flair", "t1+t2"):
        with pytest.raises(FormError):
            update_from("site-1", claims | {"modality": wrong}, update.arrays, 0, sets)


def test_reports_speak_of_the_jobs_one_set(site, channel_job, cpu):
    report = evaluation_report(initial_model(channel_job), "global_last", site, channel_job, cpu)
    form = report_form(channel_job, "site-1", "SRV_global_last")
    check_report(report, form, True)
    assert {row["modality"] for row in report["rows"]} == {SET}
    rows = [row | {"modality": "flair+t1+t2"} for row in report["rows"]]
    with pytest.raises(ConfigError, match="'modality' is not of its form"):
        check_report({**report, "rows": rows}, form, True)


def test_the_server_admits_cases_of_all_channels_and_no_others(site, channel_job):
    own = Registration(
        version="1",
        label_map="m",
        annotated=tuple(sorted(site.annotated)),
        modalities=tuple(site.modalities),
        training=case_counts(site.train),
        validation=case_counts(site.val),
        test=case_counts(site.test),
    )

    def judged(**changes):
        changed = dataclasses.replace(own, **changes)
        return site_refusals("site-1", changed, "1", "m", channel_job.data.modality_sets)

    assert judged() == []
    for held in ("t1+t2", "t1", "flair+t1+t2"):
        (reason,) = judged(modalities=(held,), training={held: 3}, validation={}, test={})
        assert reason.startswith(f"site-1 holds cases of {held}, each case of the job is of {SET};")
        assert "mend 'modalities' in its site file" in reason
    (reason,) = judged(modalities=("ct",), training={"ct": 3}, validation={}, test={})
    assert reason.startswith("site-1 holds ct, the job uses t1+t2+flair; change 'data.modalities'")
