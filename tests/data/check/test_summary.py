import dataclasses
import json

import pytest

from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.data.check.summary import findings, headline, organ_volumes, to_mapping
from fedvox.finding import FAIL, WARN, Finding

BAD = Finding("image", FAIL, "it is damaged", "copy it again")
ODD = Finding("organs", WARN, "it is empty", "look at it")


def case(number: int, part: str = "train", *problems: Finding, **more) -> CaseReport:
    shape, spacing = (10, 20, 30 + number), (1.0, 2.0, 0.1 * number)
    entry = CaseReport(f"c{number}", (part,), "mr", problems, shape=shape, spacing=spacing, **more)
    return entry


@pytest.fixture
def report() -> SiteReport:
    cases = (
        case(1, "train", organs_ml={"liver": 1000.0, "spleen": 200.0}),
        case(2, "train", ODD),
        case(3, "val", BAD),
        case(4, "test", BAD, organs_ml={"liver": 1500.0}),
        case(5, "test", BAD, quarantined=True),
        case(6, "test", quarantined=True),
    )
    problem = Finding("split", WARN, "it overlaps", "mend it")
    return SiteReport(cases, (problem,), unlisted=2, phantom=False, lasting=True, refused=())


def test_equal_findings_stand_together_refusals_first(report):
    assert [(f.problem.status, f.problem.message, f.cases) for f in findings(report)] == [
        (FAIL, "it is damaged", ("c3", "c4")),
        (WARN, "it overlaps", ()),
        (WARN, "it is empty", ("c2",)),
        (WARN, "in quarantine: it is damaged", ("c5",)),
        (WARN, "in quarantine, though sound now", ("c6",)),
    ]


def test_headline_counts_what_training_would_use(report):
    assert headline(report) == (
        "2 of 6 cases can be used: 2 train, 0 val, 0 test; 2 are not in the split"
    )


def test_headline_of_a_split_that_cannot_be_used_counts_no_case(report):
    refused = dataclasses.replace(report, problems=(Finding("split", FAIL, "it is", "mend it"),))
    assert headline(refused) == "0 of 6 cases can be used, since the split cannot"


def test_volumes_are_gathered_by_organ(report):
    assert organ_volumes(report) == {"liver": [1000.0, 1500.0], "spleen": [200.0]}


def test_mapping_is_plain_json_with_counts_codes_and_figures(report):
    content = json.loads(json.dumps(to_mapping(report)))
    assert content["status"] == FAIL
    assert (content["cases"], content["refused"], content["quarantined"]) == (6, 3, 2)
    assert content["usable"] == {"all": 2, "train": 2, "val": 0, "test": 0}
    assert content["findings"][0] == {
        "check": "image",
        "status": FAIL,
        "message": "it is damaged",
        "remedy": "copy it again",
        "cases": ["c3", "c4"],
    }
    assert content["spacing_mm"]["median"] == [1.0, 2.0, 0.35]
    assert content["shape"]["most"] == [10.0, 20.0, 36.0]
    assert content["organs_ml"]["liver"] == {"cases": 2, "median": 1250.0}


def test_status_is_the_worst():
    def status(*cases: CaseReport) -> str:
        return to_mapping(SiteReport(cases, (), 0, False, True, ()))["status"]

    assert status(case(1)) == "PASS" and status() == "PASS"
    assert status(case(1), case(2, "train", ODD)) == WARN
    assert status(case(1, "train", BAD)) == FAIL
    assert status(case(1, "train", BAD, quarantined=True)) == WARN
