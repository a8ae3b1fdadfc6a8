import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from fedvox.data.settings import DataSettings
from fedvox.data.site.site_file import SiteSettings
from fedvox.doctor.data import check_data, check_split, list_cases, take_sample
from fedvox.doctor.site_data import examine_data
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, PASS, WARN


@pytest.fixture
def brats(tmp_path):
    """Names alone: listing opens no image."""
    folder = tmp_path / "BraTS2021_00000"
    folder.mkdir()
    for suffix in ("t1", "t1ce", "t2", "flair", "seg"):
        (folder / f"BraTS2021_00000_{suffix}.nii.gz").touch()
    return tmp_path


def test_several_modalities_per_case_are_refused_before_a_round_is_tried(brats):
    assert len(list_cases(SiteSettings("brats", str(brats), ("flair",)))) == 1
    with pytest.raises(ConfigError, match=r"2 modalities \(t1, flair\).*list one under"):
        list_cases(SiteSettings("brats", str(brats), ("t1", "flair")), DataSettings(("liver",)))


def split(site, tmp_path, **parts):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(parts))
    return check_split(dataclasses.replace(site, split=str(path)))


def test_a_part_of_the_split_without_a_case_is_a_hint_with_what_to_do(brats, tmp_path):
    for number in (1, 2):
        folder = brats / f"BraTS2021_0000{number}"
        folder.mkdir()
        for suffix in ("flair", "seg"):
            (folder / f"BraTS2021_0000{number}_{suffix}.nii.gz").touch()
    site = SiteSettings("brats", str(brats), ("flair",))
    names = [[f"BraTS2021_0000{number}"] for number in range(3)]
    found = split(site, tmp_path, train=[*names[0], *names[1], *names[2]])
    assert found.status == WARN and "no case stands under 'val': the site has no" in found.message
    assert found.remedy.startswith("list cases under 'val' and 'test' in the split file")
    assert split(site, tmp_path, train=names[0], val=names[1], test=names[2]).status == PASS
    found = split(site, tmp_path, val=names[1], test=names[2])
    assert found.status == FAIL and "list cases under 'train'" in found.remedy
    assert 'says so with "split": "test"' in found.remedy
    found = split(site, tmp_path, test=names[2])
    assert (found.status, found.message) == (
        PASS,
        "cases: 1 test; the site only tests, it does not train",
    )
    assert split(site, tmp_path, test=[]).status == FAIL
    assert check_split(dataclasses.replace(site, split="test")).message.startswith("cases: 3 test")


def test_a_site_that_only_tests_is_told_that_no_round_was_measured(place, doctor, complaints):
    path = place.local / "fedvox_site.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "split": "test"}))
    _, findings = doctor()
    assert not {"data", "split", "labels", "waiting"} & complaints(findings), findings
    assert findings["split"]["message"].endswith("the site only tests, it does not train")
    assert findings["waiting"]["message"] == "the site only tests: no round was measured"


def test_an_unknown_attachment_is_told_before_the_site_starts(place, found):
    path = place.local / "fedvox_site.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attachments": ["statistics"]}))
    _, findings = found("data", "'attachments' names 'statistics'")
    assert findings["data"]["remedy"] == "allowed: prototypes"


@pytest.fixture
def lenient(brats_site, lenient_job, tmp_path):
    """Site file and job of four cases; the job lets them lack channels."""
    root = shutil.copytree(brats_site, tmp_path / "lenient")
    return SiteSettings("brats", str(root), ("t1", "t2", "flair")), lenient_job


def test_cases_that_lack_channels_are_counted_where_the_job_allows_it(lenient, tmp_path):
    site, job = lenient
    (flair, *_) = Path(site.root).rglob("*_flair.nii.gz")
    flair.unlink()
    found = check_data(take_sample(site, job, tmp_path / "sample"))
    assert (found.status, found.message) == (
        PASS,
        "4 of 4 cases sampled, all readable; missing, as the job allows: flair in 1 of 4 cases",
    )
    strict = dataclasses.replace(job, data=dataclasses.replace(job.data, missing_channels=False))
    found = check_data(take_sample(site, strict, tmp_path / "strict"))
    assert found.status == FAIL and "no image of flair" in found.message


def test_a_modality_that_no_case_has_is_told_before_the_site_takes_part(lenient, tmp_path):
    site, job = lenient
    for path in Path(site.root).rglob("*_t2.nii.gz"):
        path.unlink()
    found = check_data(take_sample(site, job, tmp_path / "sample"))
    assert found.status == WARN and found.message.startswith("the site file lists t2, and no case")


def test_a_site_of_none_of_the_modalities_is_refused_before_anything_is_read(lenient):
    site, job = lenient
    foreign = dataclasses.replace(site, modalities=("t1ce",))
    _, (found,) = examine_data(foreign, job, Path("job"), 1e9, lambda name: None)
    assert found.status == FAIL and "of which a site needs at least one" in found.message
    assert found.remedy.startswith("add those that the site has to 'modalities'")
