import dataclasses
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fedvox.data.cases.case import FIXED, TABLE, Case, LabelFile
from fedvox.data.check.case import CaseReport
from fedvox.data.check.listing import write_list
from fedvox.data.check.site import SiteReport, check_site
from fedvox.data.check.table_problems import table_problems
from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.finding import FAIL, WARN, Finding

JOB = DataSettings(organs=("liver", "spleen"), spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8))


def name(site: SiteSettings, table: dict[str, int]) -> None:
    (Path(site.root) / "labels.json").write_text(json.dumps(table))


def relabel(site: SiteSettings, old: int, new: int) -> None:
    for path in (Path(site.root) / "labels").iterdir():
        label = nib.load(path)
        data = np.asarray(label.dataobj)
        nib.save(nib.Nifti1Image(np.where(data == old, new, data).astype("u1"), label.affine), path)


def found(report: SiteReport) -> list[Finding]:
    return [problem for problem in report.problems if problem.check == "organs"]


@pytest.mark.parametrize("written", ["splen", "Milz", "bazo", "spleens"])
def test_an_organ_under_a_name_that_nobody_knows_is_named_with_a_suggestion(site, written):
    name(site, {"liver": 1, written: 2})
    (unknown,) = found(check_site(site))
    assert unknown.status == WARN and f"'{written}' (spleen?)" in unknown.message
    first, second = found(check_site(site, JOB))
    assert first == unknown and second.status == WARN
    assert "no case annotates spleen, which the job trains" in second.message
    name(site, {"liver": 1, "spleen": 2})  # as the remedy says
    assert found(check_site(site, JOB)) == []


def test_both_kidneys_under_one_name_are_told_by_side_as_the_remedy_says(site):
    job = dataclasses.replace(JOB, organs=("liver", "kidney_right", "kidney_left"))
    name(site, {"liver": 1, "kidneys": 2})
    (unknown, _) = found(check_site(site, job))
    assert "'kidneys' (kidney_right, kidney_left?)" in unknown.message
    assert "one per side" in unknown.remedy


def test_a_table_in_which_nothing_is_known_is_refused(site):
    name(site, {"Foie": 1, "Rate": 2})
    report = check_site(site)
    assert [problem.status for problem in found(report)] == [WARN, FAIL] and report.failed
    assert "'Foie' (liver?), 'Rate' (spleen?)" in found(report)[0].message
    assert not any(case.problems for case in report.cases)  # their labels are not to blame
    name(site, {"liver": 1, "spleen": 2})
    assert not check_site(site).failed


def test_structures_of_known_sets_are_not_mentioned(site):
    name(site, {"liver": 1, "spleen": 2, "vertebrae_L1": 3, "Colon": 4, "lesion": 5})
    assert found(check_site(site, JOB)) == []


def test_an_organ_of_the_job_that_nobody_annotates_is_named(site):
    job = dataclasses.replace(JOB, organs=("liver", "spleen", "aorta", "pancreas"))
    (problem,) = found(check_site(site, job))
    assert problem.status == WARN and "no case annotates aorta, pancreas" in problem.message


def test_what_could_not_be_read_is_not_counted_as_looked_at(site):
    relabel(site, 2, 0)
    with (Path(site.root) / "labels" / "miller_anna_0.nii.gz").open("wb"):
        pass
    (problem,) = found(check_site(site))
    assert "none of the 4 cases that could be read holds: spleen" in problem.message
    assert problem.remedy == "mend the cases that could not be read (1) and check again"


def test_a_site_of_which_nothing_could_be_read_says_nothing_of_its_table(site):
    for path in (Path(site.root) / "labels").iterdir():
        path.write_bytes(b"")
    report = check_site(site)
    assert found(report) == [] and all(case.refused for case in report.cases)


def test_an_entry_of_what_nobody_outlined_can_be_removed_as_the_remedy_says(site):
    relabel(site, 2, 0)
    (problem,) = found(check_site(site))
    assert "the label table names organs that no case holds: spleen" in problem.message
    assert "remove the table entries" in problem.remedy
    name(site, {"liver": 1})
    report = check_site(site)
    assert found(report) == [] and not report.failed


@pytest.mark.parametrize("origin", [FIXED, TABLE])
def test_only_a_table_at_the_site_is_asked_to_be_mended(origin):
    case = Case("a", "a", {}, (LabelFile(Path("a.nii"), {1: "liver", 2: "spleen"}, origin),))
    report = CaseReport("", (), "ct", organs_ml={"liver": 1.0}, label_read=True)
    asked = [problem.remedy for problem in table_problems(None, [case], [report])]
    assert ["remove the table entries" in remedy for remedy in asked] == [True] * (origin == TABLE)
    job = dataclasses.replace(JOB, organs=("liver", "aorta"))
    (absent,) = table_problems(job, [case], [report])
    assert ("name it as docs" in absent.remedy) == (origin == TABLE)


@pytest.fixture
def masks(tmp_path, write_nifti) -> SiteSettings:
    """A TotalSegmentator folder of three cases: liver and spleen, which share a third."""
    image = np.random.default_rng(0).normal(0, 100, (12, 12, 12)).astype(np.int16)
    liver, spleen = np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8)
    liver[2:8, 2:8, 2:8], spleen[6:9, 2:8, 2:8] = 1, 1
    for number in range(3):
        folder = tmp_path / "ts" / f"s000{number}"
        write_nifti(folder / "mri.nii.gz", image + number)
        write_nifti(folder / "segmentations" / "liver.nii.gz", liver)
        write_nifti(folder / "segmentations" / "spleen.nii.gz", spleen)
    rows = ["image_id;split", "s0000;train", "s0001;val", "s0002;test"]
    (tmp_path / "ts" / "meta.csv").write_text("\n".join(rows))
    return SiteSettings("totalsegmentator", str(tmp_path / "ts"), ("mr",), split="dataset")


def test_masks_that_overlap_are_a_hint_at_each_case_in_the_same_words(masks):
    problems = {
        p for case in check_site(masks).cases for p in case.problems if p.check == "overlap"
    }
    (problem,) = problems
    assert problem.status == WARN
    assert problem.message == (
        "the masks of liver and spleen overlap by up to 66.67% of the smaller one, and these "
        "voxels become spleen (the later file by name wins)"
    )
    assert "take the common voxels out of the mask of spleen" in problem.remedy
    other = dataclasses.replace(JOB, organs=("liver", "aorta"))
    assert not any(p.check == "overlap" for c in check_site(masks, other).cases for p in c.problems)


def test_masks_without_their_common_voxels_pass_as_the_remedy_says(masks, write_nifti):
    for folder in Path(masks.root).glob("s*"):
        liver, spleen = (
            nib.load(folder / "segmentations" / f"{organ}.nii.gz") for organ in ("liver", "spleen")
        )
        rest = np.asarray(spleen.dataobj) & (1 - np.asarray(liver.dataobj))
        write_nifti(folder / "segmentations" / "spleen.nii.gz", rest, spleen.affine)
    assert not any(p.check == "overlap" for case in check_site(masks).cases for p in case.problems)


def test_masks_under_names_that_nobody_knows_are_counted_and_named_in_the_list(masks, tmp_path):
    for folder in Path(masks.root).glob("s*"):
        spleen = folder / "segmentations" / "spleen.nii.gz"
        spleen.rename(spleen.with_name("Milz.nii.gz"))
        shutil.copy(spleen.with_name("liver.nii.gz"), spleen.with_name("anna miller.nii.gz"))
    (problem,) = found(report := check_site(masks))
    assert problem.message.endswith("which it trains as background: 2 (perhaps spleen)")
    assert problem.remedy.endswith("; --list FILE names them")
    assert "anna" not in str(report.problems) and "Milz" not in str(report.problems)
    write_list(tmp_path / "files.csv", report)
    assert (tmp_path / "files.csv").read_text().count("not know: Milz, anna miller") == 3


def test_empty_masks_may_stay_where_the_organ_lies_outside_every_scan(masks, write_nifti):
    for folder in Path(masks.root).glob("s*"):
        empty = np.zeros((12, 12, 12), np.uint8)
        write_nifti(folder / "segmentations" / "bladder.nii.gz", empty)
    (problem,) = found(check_site(masks))
    assert "there are masks of organs that no case holds: bladder" in problem.message
    assert "leave those of organs that lie outside every scan" in problem.remedy
    for path in Path(masks.root).glob("s*/segmentations/bladder.nii.gz"):
        path.unlink()  # as the remedy says of what nobody outlined
    assert found(check_site(masks)) == []


def test_a_mask_that_another_covers_is_an_overlap_and_not_absent(masks, write_nifti):
    for folder in Path(masks.root).glob("s*"):
        liver = nib.load(folder / "segmentations" / "liver.nii.gz")
        write_nifti(folder / "segmentations" / "spleen.nii.gz", np.asarray(liver.dataobj))
    report = check_site(masks)
    assert found(report) == []
    (problem,) = {p for case in report.cases for p in case.problems if p.check == "overlap"}
    assert "liver and spleen overlap by up to 100.00% of the smaller one" in problem.message
