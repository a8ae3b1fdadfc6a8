"""A metric that is registered appears in every table, and its form is checked."""

import math

import numpy as np
import pytest
from metric_values import scores

from fedvox.errors import ConfigError
from fedvox.metrics import METRICS, other_metrics
from fedvox.metrics.case import score_case
from fedvox.metrics.columns import forms, names
from fedvox.metrics.metric import Masks, Metric
from fedvox.metrics.summary import reduce_rows, summarise
from fedvox.metrics.table import MetricRow, SharedSummary, SummaryRow, read_csv, write_csv
from fedvox.metrics.text_table import format_table
from fedvox.privacy.forms import number
from fedvox.registry import Registry
from fedvox.report.pages.scores import details


def voxel_ratio(masks: Masks) -> float:
    """Voxels of the prediction over those of the reference."""
    return float(masks.prediction.sum() / masks.reference.sum())


@pytest.fixture
def ratio(monkeypatch) -> Metric:
    """One more metric, as long as the test runs."""
    added = Metric(
        voxel_ratio,
        "Ratio",
        number(0.0, 1e6),
        better="lower",
        missed=0.0,
        invented=math.nan,
        unit="percent",
        digits=2,
        console=True,
    )
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS.items()[:3]))
    METRICS.register("a_ratio")(added)
    return added


def row(case: str, value: float) -> MetricRow:
    own = {**scores(0.8), "a_ratio": value}
    return MetricRow("global_best", "site-1", "test", "ct", case, "liver", own, 10)


def test_it_is_measured_with_its_own_values_where_a_mask_is_empty(ratio):
    full, empty = np.zeros((6, 6, 6), np.uint8), np.zeros((6, 6, 6), np.uint8)
    full[1:4, 1:4, 1:4] = 1
    half = full.copy()
    half[1:4, 1:4, 1] = 0

    def measured(prediction: np.ndarray, reference: np.ndarray) -> float:
        (score,) = score_case(prediction, reference, ["liver"], {"liver"}, (1.0, 1.0, 1.0))
        return score.scores["a_ratio"]

    assert measured(half, full) == pytest.approx(2 / 3)
    assert measured(empty, full) == 0.0
    assert math.isnan(measured(full, empty)) and math.isnan(measured(empty, empty))


def test_its_columns_follow_those_of_the_metrics_before_it(ratio):
    assert names(MetricRow)[6:] == ("dice", "hd95_mm", "nsd", "a_ratio_percent", "gt_voxels")
    assert names(SummaryRow)[6:9] == ("hd95_mm_mean", "nsd_mean", "a_ratio_percent_mean")
    assert names(SharedSummary)[-2:] == ("nsd_cases", "a_ratio_cases")


def test_what_a_site_sends_of_it_has_its_form(ratio):
    allowed = forms(MetricRow)["a_ratio_percent"], forms(SharedSummary)["a_ratio_percent_mean"]
    assert all(form(2.5) and form(None) and not form(-1.0) for form in allowed)
    assert not forms(SharedSummary)["a_ratio_cases"](2.5)


def test_it_stands_in_both_files_and_in_the_tables_for_people(ratio, tmp_path):
    rows = [row("a", 1.0), row("b", 2.0), row("c", math.nan)]
    write_csv(tmp_path / "m.csv", rows, MetricRow)
    summary = summarise(read_csv(tmp_path / "m.csv", MetricRow))
    assert summary == summarise([], reduce_rows(rows))
    assert {group.means["a_ratio"] for group in summary} == {1.5}
    write_csv(tmp_path / "s.csv", summary, SummaryRow)
    assert {r.means["a_ratio"] for r in read_csv(tmp_path / "s.csv", SummaryRow)} == {1.5}
    heading, _, line = format_table(summary).splitlines()[1:4]
    assert heading.endswith("mean [95% interval]  mean Ratio, percent")
    assert line.endswith(" 1.50")
    page = details(summary, "an HD95")
    assert ">Ratio, percent</th>" in page and ">1.50</td>" in page


def test_a_file_from_before_it_was_registered_has_no_evidence_of_it(ratio, tmp_path):
    path = tmp_path / "metrics.csv"
    write_csv(path, [row("a", 2.0)], MetricRow)
    lines = path.read_text().replace("a_ratio_percent,", "").replace(",2,10", ",10")
    path.write_text(lines)
    (read,) = read_csv(path, MetricRow)
    assert math.isnan(read.scores["a_ratio"]) and read.dice == 0.8
    path.write_text(lines.replace("nsd", "nsd,other", 1).replace(",10", ",1,10"))
    with pytest.raises(ConfigError, match="needs exactly the columns"):
        read_csv(path, MetricRow)


def test_every_metric_says_what_it_is_and_which_values_are_better():
    for name, metric in METRICS.items():
        assert metric.meaning.endswith("."), name
        assert metric.better in ("higher", "lower")
    assert [name for name, _ in METRICS.items()][:3] == ["dice", "hd95", "nsd"]
    assert [metric.title for _, metric in other_metrics()][:2] == ["HD95, mm", "NSD"]


def test_entries_come_in_the_order_of_their_registration():
    registry: Registry[int] = Registry("thing")
    registry.register("b")(2)
    registry.register("a")(1)
    assert registry.items() == [("b", 2), ("a", 1)] and list(registry) == ["a", "b"]
