import dataclasses
import json
from pathlib import Path

import pytest

from fedvox.data.check.site import check_site, code_key
from fedvox.data.check.summary import headline
from fedvox.data.readers import STRAYS
from fedvox.data.settings import DataSettings
from fedvox.data.site.quarantine import write_quarantine
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, DataError
from fedvox.finding import FAIL, WARN

JOB = DataSettings(organs=("liver", "spleen"), spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8))


def damage(site: SiteSettings, *names: str) -> None:
    for name in names:
        (Path(site.root) / "images" / f"{name}.nii.gz").write_bytes(b"")


def resplit(site: SiteSettings, **parts: object) -> None:
    Path(site.split).write_text(json.dumps(parts))


def found(report) -> list[tuple[str, str]]:
    return [(problem.check, problem.status) for problem in report.problems]


@pytest.mark.parametrize("workers", [1, 2])
def test_sound_site_passes_and_its_cases_stand_in_the_order_of_the_split(site, workers):
    report = check_site(site, JOB, workers)
    assert not report.failed and report.problems == () and report.refused == ()
    assert [case.parts[0] for case in report.cases] == ["train"] * 3 + ["val", "test"]
    assert [report.usable(part) for part in ("", "train", "val", "test")] == [5, 3, 1, 1]
    assert report.lasting and not report.phantom


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_phantoms_pass(phantom_site, modality):
    site = SiteSettings("phantom", str(phantom_site(modality)), (modality,), split="dataset")
    report = check_site(site)
    assert all(case.problems == () for case in report.cases) and report.phantom
    assert report.problems == () and report.lasting


def test_what_the_check_refuses_training_leaves_out_under_the_same_code(site, tmp_path):
    damage(site, "miller_anna_1")
    lenient = dataclasses.replace(site, max_bad_fraction=0.5)
    report = check_site(lenient)
    refused = [case.code for case in report.cases if case.refused]
    assert list(open_site("a", lenient, JOB, tmp_path).skipped) == refused


def test_more_refused_cases_than_allowed_are_a_finding_of_the_site(site):
    damage(site, "miller_anna_1")
    assert found(check_site(site)) == [("cases", FAIL)]
    assert "1 of 5 cases are refused" in check_site(site).problems[0].message
    assert found(check_site(dataclasses.replace(site, max_bad_fraction=0.2))) == []


def test_site_without_a_usable_training_case_fails(site):
    damage(site, *(f"miller_anna_{number}" for number in range(3)))
    report = check_site(dataclasses.replace(site, max_bad_fraction=1.0))
    assert found(report) == [("cases", FAIL)]
    assert "no case of 5 can be used for training" in report.problems[0].message


def test_a_part_of_which_no_case_is_left_is_a_hint(site):
    damage(site, "miller_anna_4")
    write_quarantine(site, check_site(site).refused)
    report = check_site(site)
    assert found(report) == [("cases", WARN)] and not report.failed
    message = report.problems[0].message
    assert message.startswith("none of the 1 cases under 'test' can be used: nothing is reported")


def test_site_without_a_case_to_validate_or_to_test_says_what_to_do(site):
    resplit(site, train=["miller_anna_0", "miller_anna_1"], val=[], test=["miller_anna_2"])
    (problem,) = check_site(site).problems
    assert (problem.check, problem.status) == ("split", WARN)
    assert "no case stands under 'val': the site has no say" in problem.message
    assert problem.remedy == "list cases under 'val' in the split file, each in one part only"
    resplit(site, train=["miller_anna_0"], val=["miller_anna_1"], test=["miller_anna_2"])
    assert check_site(site).problems == ()


def test_a_site_that_only_tests_lacks_nothing_and_is_said_to_train_nothing(site):
    resplit(site, test=["miller_anna_0", "miller_anna_1"])
    for own, count in ((site, 2), (dataclasses.replace(site, split="test"), 5)):
        report = check_site(own)
        assert report.problems == () and report.external and report.usable("test") == count
        assert headline(report).startswith(
            f"{count} of {count} cases can be used: 0 train, 0 val, {count} test; the site only tes"
        )
    resplit(site, train=[], test=["miller_anna_0"])
    (problem, *_) = check_site(site).problems
    assert problem.status == FAIL and 'a site that only tests says so with "split": "test"' in (
        problem.remedy
    )


def test_a_site_that_only_tests_needs_a_usable_test_case(site):
    damage(site, *(f"miller_anna_{number}" for number in range(5)))
    report = check_site(dataclasses.replace(site, split="test", max_bad_fraction=1.0))
    assert found(report) == [("cases", FAIL)]
    assert "no case of 5 can be used for testing" in report.problems[0].message


@pytest.mark.parametrize("job", [None, DataSettings(organs=("pancreas",))])
def test_a_list_without_a_test_case_is_told_to_be_filled_and_nothing_is_said_of_organs(site, job):
    resplit(site, test=[])
    (problem,) = check_site(site, job).problems
    assert (problem.check, problem.status) == ("cases", FAIL)
    assert problem.message == "the site only tests, and no case stands under 'test'"
    assert problem.remedy == "list cases under 'test' in the split file"


def test_hash_that_leaves_parts_empty_asks_for_a_split_file(site):
    lone = "miller_anna_0"
    for part in ("images", "labels"):
        for path in (Path(site.root) / part).iterdir():
            if not path.name.startswith(lone):
                path.unlink()
    problems = check_site(dataclasses.replace(site, split="hash")).problems
    assert [problem.check for problem in problems] == ["cases", "split"]
    assert all("write a split file with cases under 'train'" in p.remedy for p in problems)


def test_split_without_a_case_fails(site):
    resplit(site, train=[], val=[], test=[])
    report = check_site(site, workers=4)
    assert report.failed and report.unlisted == 5 and report.cases == ()


def test_patient_in_two_parts_of_a_split_file_fails_and_the_cases_are_still_read(site):
    resplit(site, train=["miller_anna_0"], val=["miller_anna_0"])
    damage(site, "miller_anna_3")
    report = check_site(dataclasses.replace(site, max_bad_fraction=1.0))
    assert found(report) == [("split", FAIL)]
    assert "one patient is under 'train' and 'val'" in report.problems[0].message
    assert len(report.cases) == 5 and sum(case.refused for case in report.cases) == 1
    assert report.usable() == 0  # nobody can train on it


def test_what_belongs_to_no_case_is_counted_as_a_hint(site):
    label = Path(site.root) / "labels" / "anna.nii.gz"
    label.touch()
    image = Path(site.root) / "images" / "anna"
    image.symlink_to(image)
    report = check_site(site)
    assert found(report) == [("folder", WARN)] * 2 and not report.failed
    assert [problem.message for problem in report.problems] == [
        "entries of images/ that are neither NIfTI nor a folder of DICOM: 1",
        "labels without an image of their name: 1",
    ]


def test_an_entry_beside_the_cases_that_cannot_be_read_does_not_end_the_check(site, monkeypatch):
    closed = Path(site.root) / "anna"

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", str(closed))

    monkeypatch.setitem(STRAYS, "plain", refuse)
    report = check_site(site)
    assert found(report) == [("folder", WARN)] and report.strays[0].paths == (closed,)
    assert "anna" not in str(report.problems) and "mend their rights" in report.problems[0].remedy


def test_overlap_that_the_split_file_allows_is_a_hint(site):
    names = {"train": ["miller_anna_0"], "val": ["miller_anna_1"], "test": ["miller_anna_0"]}
    resplit(site, **names, allow_overlap=True)
    report = check_site(site)
    assert found(report) == [("split", WARN)] and not report.failed
    assert report.unlisted == 3 and report.usable("test") == 1


def test_organ_that_the_table_names_and_nobody_outlined_is_a_hint(site):
    table = {"liver": 1, "spleen": 2, "pancreas": 3}
    (Path(site.root) / "labels.json").write_text(json.dumps(table))
    report = check_site(site)
    assert found(report) == [("organs", WARN)]
    assert "no case holds: pancreas" in report.problems[0].message
    assert check_site(site, JOB).problems == ()  # the job does not train it


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"modalities": ("ct",)}, "modality", "the site holds mr, the job uses ct"),
        ({"organs": ("pancreas", "aorta")}, "organs", "no case annotates an organ of the job"),
    ],
)
def test_job_that_cannot_use_the_site_fails(site, change, check, words):
    report = check_site(site, dataclasses.replace(JOB, **change))
    assert report.failed
    assert [(p.check, words in p.message) for p in report.problems if p.status == FAIL] == [
        (check, True)
    ]


def test_case_in_quarantine_does_not_fail_the_site_and_does_not_count(site):
    damage(site, "miller_anna_1")
    write_quarantine(site, check_site(site).refused)
    report = check_site(site)
    assert not report.failed and report.problems == ()
    assert [case.quarantined for case in report.cases].count(True) == 1
    assert report.usable() == 4
    assert len(report.refused) == 1  # stands in the next list as well


def test_codes_without_a_cache_hold_for_one_run(site):
    loose = dataclasses.replace(site, cache="")
    first, again = (check_site(loose) for _ in range(2))
    assert not first.lasting
    assert {case.code for case in first.cases}.isdisjoint(case.code for case in again.cases)
    assert code_key(site) == code_key(site)


def test_folder_in_another_layout_is_refused(site, tmp_path):
    with pytest.raises(DataError, match="no labels"):
        check_site(dataclasses.replace(site, root=str(tmp_path)))
    with pytest.raises(ConfigError, match="unknown dataset"):
        check_site(dataclasses.replace(site, dataset="btcv"))
