"""`fedvox check` of a site whose cases have several images."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from fedvox.data.check.site import check_site
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.finding import FAIL


@pytest.fixture
def site(brats_site, tmp_path):
    root = shutil.copytree(brats_site, tmp_path / "brats")
    return SiteSettings("brats", str(root), ("flair", "t1", "t2"), max_bad_fraction=0.5)


@pytest.fixture
def data(channel_job):
    return channel_job.data


def failures(report):
    return [problem for problem in report.problems if problem.status == FAIL]


def test_a_whole_site_passes_in_the_jobs_order(site, data):
    report = check_site(site, data)
    assert failures(report) == [] and not any(case.refused for case in report.cases)
    assert {case.modality for case in report.cases} == {"t1+t2+flair"}
    assert set(report.cases[0].intensities) == set(data.channels)


def test_without_a_job_the_site_files_order_stands(site):
    assert {case.modality for case in check_site(site).cases} == {"flair+t1+t2"}


def test_a_case_without_a_channel_is_refused_as_training_refuses_it(site, data, brats_site):
    (lost,) = (Path(site.root) / p.relative_to(brats_site) for p in brats_site.rglob("*00001_t2*"))
    lost.unlink()
    report = check_site(site, data)
    (case,) = (case for case in report.cases if case.refused)
    (problem,) = case.problems
    assert problem.check == "channels" and "no image of t2" in problem.message
    assert "restore it" in problem.remedy and case.modality == "t1+flair"


def test_a_site_that_lacks_a_channel_altogether_fails_with_the_remedy(site, data):
    report = check_site(dataclasses.replace(site, modalities=("t1", "t2")), data)
    (finding,) = failures(report)
    assert finding.check == "modality" and not any(case.refused for case in report.cases)
    assert finding.message.startswith("the site file lists t1, t2, every case of the job needs t1,")
    assert finding.remedy.startswith("add flair to 'modalities' in the site file")


def test_several_images_are_too_many_for_a_job_of_one(site, data):
    one = DataSettings(data.organs, modalities=data.modalities)
    (finding,) = failures(check_site(site, one))
    assert finding.check == "modality" and "this job takes one image per case" in finding.message
