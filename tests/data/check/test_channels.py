"""`fedvox check` of a site whose cases have several images."""

import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from fedvox.data.cases.channels import checked_volumes
from fedvox.data.check import case as room
from fedvox.data.check.case import examine_case
from fedvox.data.check.site import check_site
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ImageError, about_image
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


def case_with_cut_file(site):
    case = READERS["brats"](Path(site.root), ("t1", "t2", "flair"))[0]
    path = case.images["flair"]
    path.write_bytes(path.read_bytes()[:2000])
    return case


def test_a_damaged_file_is_told_with_its_modality_by_the_check_as_by_the_preparation(site):
    case = case_with_cut_file(site)
    (problem,) = examine_case(case, (), False).problems
    with pytest.raises(ImageError) as error:
        list(checked_volumes(case.images))
    assert problem.message.startswith("the flair image: ")
    assert str(error.value) == f"{problem.message}; {problem.remedy}"


def test_a_first_image_that_cannot_be_read_is_no_measure_of_the_others(site, write_nifti):
    case = case_with_cut_file(site)
    turned = dict(reversed(case.images.items()))
    write_nifti(turned["t1"], np.random.default_rng(0).uniform(0, 9, (8, 8, 8)), np.eye(4))
    report = examine_case(dataclasses.replace(case, images=turned), (), False)
    grids = [problem.message for problem in report.problems if problem.check == "grid"]
    assert any("t1 image's shape (8, 8, 8) is not the t2 image's" in message for message in grids)


def test_what_breaks_in_a_library_is_told_with_the_modality(site, monkeypatch):
    load_image = room.load_image

    def load(path):
        if "flair" in path.name:
            raise ZeroDivisionError("in some library")
        return load_image(path)

    monkeypatch.setattr(room, "load_image", load)
    case = READERS["brats"](Path(site.root), ("t1", "t2", "flair"))[0]
    (problem,) = examine_case(case, (), False).problems
    assert problem.message.startswith("the flair image: reading it breaks with ZeroDivisionError")


def test_an_image_alone_is_told_without_its_modality(site):
    case = case_with_cut_file(site)
    alone = dataclasses.replace(case, images={"flair": case.images["flair"]})
    (problem,) = examine_case(alone, (), False).problems
    assert "flair" not in problem.message


def test_an_error_of_an_image_comes_whole_out_of_a_process():
    error = pickle.loads(pickle.dumps(ImageError("t1", "the file is damaged; copy it again")))
    assert str(error) == "the t1 image: the file is damaged; copy it again"
    assert about_image("t1", "the image holds NaN") == "the t1 image holds NaN"
    assert about_image("t1", "the t1 image lies off") == "the t1 image lies off"
    assert (error.modality, error.reason) == ("t1", "the file is damaged; copy it again")
