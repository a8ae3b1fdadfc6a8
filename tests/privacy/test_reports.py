"""A report speaks of its sender, the task's model, the job's organs and the site's cases only."""

from dataclasses import replace

import pytest

from fedvox.metrics.columns import forms
from fedvox.metrics.table import MetricRow, SharedSummary
from fedvox.privacy.forms import FormError
from fedvox.privacy.reports import MOST_CASES, ReportForm, check_report

NAN, INF = float("nan"), float("inf")
ROW = {
    "model": "global_last",
    "site": "ukb-Bonn_2",
    "split": "test",
    "modality": "ct",
    "case": "3f9a3f9a",
    "organ": "liver",
    "dice": 0.5,
    "hd95_mm": 4.0,
    "nsd": 0.75,
    "gt_voxels": 512**3,
}
SHARED = {
    "model": "global_last",
    "site": "ukb-Bonn_2",
    "split": "test",
    "modality": "ct",
    "organ": "mean",
    "cases": 3,
    "dice_mean": 0.5,
    "dice_low": 0.4,
    "dice_high": 0.6,
    "hd95_mm_mean": None,
    "nsd_mean": NAN,
}
FORM = ReportForm(
    site="ukb-Bonn_2",
    model="global_last",
    structures=("liver", "spleen"),
    mean="mean",
    modalities=("ct", "mr", "t1", "flair"),
    row_columns={name: forms(MetricRow)[name] for name in ROW},
    shared_columns={name: forms(SharedSummary)[name] for name in SHARED},
    cases={"val": {"ct": 1}, "test": {"ct": 3, "t1": 1, "t1+flair": 1}},
)


def rows(*changes: dict) -> dict:
    return {"validation": {}, "rows": [ROW | change for change in changes], "shared": []}


def shared(*changes: dict) -> dict:
    return {"validation": {}, "rows": [], "shared": [SHARED | change for change in changes]}


def scores(value: object) -> dict:
    return {"validation": value, "rows": [], "shared": []}


SOUND = {
    "nothing": {"validation": {}, "rows": [], "shared": []},
    "all cases": rows(
        *({"case": f"0000000{n}", "organ": organ} for n in range(3) for organ in FORM.structures)
    ),
    "phantom": rows({"case": "phantom-3f9a3f9a"}),
    "gaps": rows({"dice": None, "hd95_mm": NAN, "nsd": None}),
    "two splits": rows({}, {"split": "val"}),
    "another modality": rows({"modality": "t1"}),
    "summaries": shared({}, {"organ": "liver"}, {"split": "val", "cases": 1}),
    "no interval": shared({"dice_low": None, "dice_high": None}),
    "no evidence": shared(
        {"cases": 0, "dice_mean": None, "dice_low": NAN, "dice_high": NAN, "organ": "liver"}
    ),
    "validation": scores({"ct": [0.5, 1]}),
}


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_sound_report_passes(name):
    check_report(SOUND[name], FORM)


HOSTILE = {
    "no mapping": [1],
    "unknown part": {"image": 1},
    "rows as text": {"rows": "x" * 1000},
    "rows nested": {"rows": {"a": {"b": [1]}}},
    "a row that is none": {"rows": [7]},
    "missing column": {"rows": [{"site": "ukb-Bonn_2"}]},
    "further column": rows({"path": "/data"}),
    "other site": rows({"site": "charite"}),
    "twin of the site": rows({"site": "UKB-BONN_2"}),
    "other model": rows({"model": "global_best"}),
    "formula as site": rows({"site": "=cmd|' /C calc'!A0"}),
    "control characters": rows({"organ": "liver\x1b[2J"}),
    "mark-up as organ": rows({"organ": "<b>heart</b>"}),
    "canonical organ that is not of the job": rows({"organ": "pancreas"}),
    "the mean as an organ": rows({"organ": "mean"}),
    "invented modality": rows({"modality": "xx"}),
    "modality of another job": rows({"modality": "t2"}),
    "several channels": rows({"modality": "t1+flair"}),
    "20 MB of modality": rows({"modality": "ct" + "+ct" * 7_000_000}),
    "invented split": rows({"split": "future"}),
    "case of text": rows({"case": "MUELLER"}),
    "case with a line break": rows({"case": "3f9a3f9a\n"}),
    "Dice 1.5": rows({"dice": 1.5}),
    "Dice below 0": rows({"dice": -0.1}),
    "Dice as text": rows({"dice": "0.5"}),
    "Dice true": rows({"dice": True}),
    "Dice endless": rows({"dice": INF}),
    "Dice huge": rows({"dice": 10**4000}),
    "Dice a list": rows({"dice": [0.5]}),
    "HD95 endless": rows({"hd95_mm": INF}),
    "HD95 below 0": rows({"hd95_mm": -1e9}),
    "NSD 7": rows({"nsd": 7.0}),
    "voxels below 0": rows({"gt_voxels": -1}),
    "voxels a fraction": rows({"gt_voxels": 0.5}),
    "voxels beyond 64 bits": rows({"gt_voxels": 2**63}),
    "a row twice": rows({}, {"dice": 1.0}),
    "more cases than registered": rows(*({"case": f"0000000{n}"} for n in range(4))),
    "more rows than there can be": rows(*[{}] * 1000),
    "another split's cases": rows({"split": "val"}, {"split": "val", "case": "00000001"}),
    "cases of training": rows({"split": "train"}),
    "rows and summaries": {**rows({}), "shared": [SHARED]},
    "-5 cases": shared({"cases": -5}),
    "10^9 cases": shared({"cases": 10**9}),
    "more cases than tested": shared({"cases": 4}),
    "summary of a modality that it lacks": shared({"modality": "mr", "cases": 1}),
    "cases of a modality that it lacks": rows({"modality": "mr"}),
    "cases true": shared({"cases": True}),
    "mean Dice 7": shared({"dice_mean": 7.0}),
    "swapped interval": shared({"dice_low": 0.6, "dice_high": 0.4}),
    "half an interval": shared({"dice_low": None}),
    "cases without a mean": shared({"dice_mean": NAN, "dice_low": None, "dice_high": None}),
    "a mean without cases": shared({"cases": 0}),
    "a summary twice": shared({"cases": 1}, {"cases": 1}),
    "summary of another site": shared({"site": "charite"}),
    "validation of an invented modality": scores({"xx": [1.0, 1]}),
    "validation of an invented set": scores({"ct+mr": [1.0, 0]}),
    "validation Dice above 1": scores({"ct": [1e9, 1]}),
    "validation not a number": scores({"ct": [NAN, 1]}),
    "validation of 10^6 cases": scores({"ct": [1.0, 10**6]}),
    "validation of a modality that it lacks": scores({"mr": [1.0, 1]}),
    "validation of half a case": scores({"ct": [1.0, 0.5]}),
    "validation without cases": scores({"ct": [1.0]}),
    "validation list": scores([1]),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_anything_else_is_refused_whole_and_nothing_of_it_is_quoted(name):
    with pytest.raises(FormError) as caught:
        check_report(HOSTILE[name], FORM)
    reason = str(caught.value)
    assert len(reason) < 120 and reason.isprintable()
    for content in ("cmd", "heart", "charite", "MUELLER", "xx", "calc"):
        assert content not in reason


def test_a_site_that_registered_no_case_reports_none():
    with pytest.raises(FormError, match="more rows than the site has"):
        check_report(rows({}), replace(FORM, cases={"val": {}, "test": {}}))


def test_a_stated_maximum_holds_where_nobody_knows_the_site_s_cases():
    form = replace(FORM, cases=None)
    check_report(rows(*({"case": f"{n:08x}"} for n in range(MOST_CASES))), form)
    with pytest.raises(FormError, match="more cases than the site has"):
        check_report(rows(*({"case": f"{n:08x}"} for n in range(MOST_CASES + 1))), form)
    with pytest.raises(FormError, match="more rows than"):
        check_report(rows(*[{}] * (MOST_CASES * 4 + 1)), form)
    with pytest.raises(FormError, match="more cases than"):
        check_report(rows({"split": "train"}), form)


SUBSETS = replace(
    FORM,
    modalities=("t1", "flair", "t1+flair"),
    subsets=("test",),
    cases={"val": {"t1+flair": 1}, "test": {"t1+flair": 2, "t1": 1}},
)
WHOLE = [{"case": f"0000000{n}", "modality": "t1+flair"} for n in range(2)]
EVERY = [
    *WHOLE,
    *({**row, "modality": part} for row in WHOLE for part in ("t1", "flair")),
    {"case": "00000009", "modality": "t1"},
]
"""Two cases of both modalities on their three subsets, and one of T1."""


def test_a_case_may_be_told_of_on_every_subset_of_what_it_has():
    check_report(rows(*EVERY), SUBSETS)
    check_report(rows(*EVERY), replace(SUBSETS, cases=None))
    counts = {"t1+flair": 2, "t1": 3, "flair": 2}
    check_report(shared(*({"modality": m, "cases": n} for m, n in counts.items())), SUBSETS)


@pytest.mark.parametrize(
    "report",
    [
        rows(*EVERY, {"case": "0000000a", "modality": "t1"}),
        rows(*WHOLE, {"case": "0000000a", "modality": "flair"}),
        rows(*WHOLE, *({"case": f"0000000{n}", "modality": "t1"} for n in "ab")),
        rows({"modality": "t1"}, {"modality": "flair"}),
        rows({"split": "val", "modality": "t1"}),
        rows(*EVERY, EVERY[-1]),
        shared({"modality": "t1", "cases": 4}),
        shared({"modality": "flair", "cases": 3}),
        shared({"modality": "t1+flair", "cases": 3}),
        shared({"split": "val", "modality": "t1", "cases": 1}),
    ],
    ids=[
        "another case of T1",
        "a case of a set that none has",
        "more cases in a subset than have it",
        "a case without the set that it has",
        "a validation case on a subset",
        "a row twice",
        "a mean over more than have T1",
        "a mean over more than have FLAIR",
        "a mean over more than have both",
        "a mean of validation cases on a subset",
    ],
)
def test_a_report_on_subsets_speaks_of_no_more_cases_than_the_site_has(report):
    with pytest.raises(FormError):
        check_report(report, SUBSETS)


def test_rows_are_counted_before_they_are_looked_at():
    """Two cases on three subsets, one on one, one for validation; two structures."""
    assert SUBSETS.total == 2 * 3 + 1 + 1
    with pytest.raises(FormError, match="more rows than"):
        check_report(rows(*[{}] * (SUBSETS.total * 2 + 1)), SUBSETS)
