"""`fedvox check` for a job whose cases may lack channels, and sites whole modalities."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.data.check.listing import write_list
from fedvox.data.check.site import check_site
from fedvox.data.check.summary import missing_line, to_mapping
from fedvox.data.site.site_file import SiteSettings
from fedvox.finding import FAIL, WARN
from fedvox.report.pages.data_page import write_data_page

CHANNELS = ("t1", "t2", "flair")


@pytest.fixture
def site(brats_site, tmp_path):
    root = shutil.copytree(brats_site, tmp_path / "brats")
    return SiteSettings("brats", str(root), CHANNELS, cache=str(tmp_path / "cache"))


@pytest.fixture
def data(lenient_job):
    return lenient_job.data


def lose(site, *kinds, cases="0123"):
    for kind in kinds:
        for number in cases:
            name = f"BraTS2021_0000{number}"
            (Path(site.root) / name / f"{name}_{kind}.nii.gz").unlink()


def found(report, status=FAIL):
    cases = [problem for case in report.cases for problem in case.problems]
    return [problem for problem in (*report.problems, *cases) if problem.status == status]


def test_cases_that_lack_some_channels_pass_and_are_counted_by_channel(site, data):
    lose(site, "flair", cases="12")
    lose(site, "t2", cases="2")
    report = check_site(site, data)
    assert found(report) == [] and report.usable() == 4
    assert [case.modality for case in report.cases].count("t1") == 1
    assert missing_line(report) == "missing, as the job allows: t2 in 1, flair in 2 of 4 cases"
    assert to_mapping(report)["missing"] == {"t2": 1, "flair": 2}


def test_the_same_cases_are_refused_where_the_job_needs_every_channel(site, channel_job):
    lose(site, "flair", cases="12")
    report = check_site(site, channel_job.data)
    assert sum(case.refused for case in report.cases) == 2
    assert missing_line(report) == "" and to_mapping(report)["missing"] == {}


def test_without_a_job_the_check_says_that_one_may_allow_it_and_with_it_does(site, data):
    lose(site, "flair", cases="12")
    report = check_site(site, None)
    assert sum(case.refused for case in report.cases) == 2
    (hint,) = (problem for problem in found(report, WARN) if problem.check == "channels")
    assert "2 of 4 cases lack images" in hint.message and "--job" in hint.remedy
    assert found(check_site(site, data)) == []
    assert not any(p.check == "channels" for p in found(check_site(site, data), WARN))


def test_a_case_without_any_image_is_refused(site, data):
    lose(site, "t1", "t2", "flair", cases="3")
    report = check_site(replace(site, max_bad_fraction=0.5), data)
    (case,) = (case for case in report.cases if case.refused)
    (problem,) = case.problems
    assert problem.check == "channels" and "at least one of t1+t2+flair" in problem.message
    # it lacks what it may not, so it is not counted among those that lack what they may
    assert (case.modality, case.missing, missing_line(report)) == ("", (), "")


def test_one_image_under_two_names_is_refused_and_its_remedy_works(site, data):
    folder = Path(site.root) / "BraTS2021_00001"
    copy = folder / f"{folder.name}_flair.nii.gz"
    shutil.copy(folder / f"{folder.name}_t1.nii.gz", copy)
    report = check_site(replace(site, max_bad_fraction=0.5), data)
    (problem,) = found(report)
    assert problem.check == "channels" and "the voxels of the t1 image" in problem.message
    assert "flair" in problem.message and sum(case.refused for case in report.cases) == 1
    copy.unlink()
    assert found(check_site(site, data)) == []


def test_a_site_of_some_modalities_passes_by_its_site_file(site, data):
    report = check_site(replace(site, modalities=("flair", "t1")), data)
    assert found(report) == [] and found(report, WARN) == found(check_site(site, data), WARN)
    assert {case.modality for case in report.cases} == {"t1+flair"}
    assert to_mapping(report)["missing"] == {"t2": 4}


def test_a_site_of_none_of_the_modalities_is_refused(site, data):
    report = check_site(replace(site, modalities=("t1ce",)), data)
    (problem,) = found(report)
    assert problem.check == "modality" and "lists t1ce, the job uses t1, t2" in problem.message
    assert report.failed and "'modalities' in the site file" in problem.remedy


def test_a_modality_that_the_site_file_lists_and_no_case_has_is_noticed(site, data):
    """As where the folder of one sequence is not mounted."""
    lose(site, "flair")
    report = check_site(site, data)
    (problem,) = [p for p in found(report, WARN) if p.check == "channels"]
    assert problem.message == "the site file lists flair, and no case has such an image"
    assert not report.failed
    mended = check_site(replace(site, modalities=("t1", "t2")), data)
    assert not [p for p in found(mended, WARN) if p.check == "channels"]
    lose(site, "t1", "t2", cases="3")  # a case of nothing hides nothing
    report = check_site(replace(site, max_bad_fraction=0.5), data)
    assert problem in report.problems


def test_a_link_that_leads_nowhere_is_damage_and_not_a_missing_channel(site, data):
    lose(site, "t2", cases="0")
    name = "BraTS2021_00000"
    (Path(site.root) / name / f"{name}_t2.nii.gz").symlink_to("/nowhere/t2.nii.gz")
    report = check_site(replace(site, max_bad_fraction=0.5), data)
    (problem,) = found(report)
    assert problem.message == "the t2 image: the file is a link that leads nowhere"
    assert problem.remedy == "mend it or restore the file"
    assert report.missing == {}


def test_a_copy_that_lacks_an_image_is_a_twin_all_the_same(site, data):
    lose(site, "t1", "flair", cases="1")
    for kind in ("t2", "seg"):
        paths = [
            Path(site.root) / name / f"{name}_{kind}.nii.gz"
            for name in ("BraTS2021_00000", "BraTS2021_00001")
        ]
        shutil.copy(*paths)
    report = check_site(replace(site, max_bad_fraction=0.5), data)
    (problem,) = found(report)
    assert problem.check == "twin"


def test_the_command_says_it_as_text_as_json_and_on_the_page(site, data, tmp_path, capsys):
    from fedvox.flare.jobs.export import export_job

    lose(site, "flair", cases="12")
    path = tmp_path / "site.json"
    own = {"dataset": "brats", "root": site.root, "modalities": CHANNELS}
    path.write_text(json.dumps(own))
    sets = ('data.channels=["t1","t2","flair"]', 'data.modalities=["t1","t2","flair"]')
    sets += ("data.missing_channels=true", 'phantom.modalities=["t1+t2+flair"]')
    brats = Path(__file__).parents[3] / "jobs/brats"
    job = export_job(brats, tmp_path / "job", name="mixed", overrides=sets)
    arguments = ["check", str(path), "--job", str(job), "--workers", "1"]
    assert main([*arguments, "--html", str(tmp_path / "page.html")]) == 0
    printed = capsys.readouterr().out
    line = "missing, as the job allows: flair in 2 of 4 cases"
    assert re.search(rf"PASS +channels +{line}", printed)
    assert line in (tmp_path / "page.html").read_text()
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == {"flair": 2}


def test_the_list_for_the_sites_staff_says_which_cases_lack_what(site, data, tmp_path):
    lose(site, "flair", cases="2")
    write_list(tmp_path / "files.csv", check_site(site, data))
    with (tmp_path / "files.csv").open(newline="") as stream:
        found = {row["identifier"]: row for row in csv.DictReader(stream)}
    told = {name[-1]: "no image of flair" in row["findings"] for name, row in found.items()}
    assert told == {"0": False, "1": False, "2": True, "3": False}
    assert {row["state"] for row in found.values()} == {"used"}


def test_a_case_without_an_image_stands_in_the_pages_table(site, data, tmp_path):
    lose(site, "t1", "t2", "flair", cases="3")
    write_data_page(tmp_path / "page.html", check_site(site, data), data)
    assert re.search(r"<td>none</td><td class=\"n\">1</td>", (tmp_path / "page.html").read_text())
