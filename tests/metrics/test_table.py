import csv
import math

import pytest

from fedvox.errors import ConfigError
from fedvox.metrics import METRICS
from fedvox.metrics.columns import names
from fedvox.metrics.table import (
    MetricRow,
    SharedSummary,
    SummaryRow,
    from_dict,
    read_csv,
    to_dict,
    write_csv,
)

MEANS = {"hd95": 1.0, "nsd": 0.5}
SCORES = {"dice": 0.9, "hd95": 4.5, "nsd": 0.75}
ROW = MetricRow("global_best", "site-1", "test", "ct", "a1", "liver", SCORES, 1000)
NONE = dict.fromkeys(SCORES, math.nan)
EMPTY = MetricRow("site-1", "site-2", "test", "t1+flair", "b,2", "aorta", NONE, 0)


@pytest.fixture(autouse=True)
def published(monkeypatch):
    """The tables as every run has them, whatever else is registered."""
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS.items()[:3]))


def test_columns_are_the_published_ones():
    assert ",".join(names(MetricRow)) == (
        "model,site,split,modality,case,organ,dice,hd95_mm,nsd,gt_voxels"
    )
    assert ",".join(names(SummaryRow)) == (
        "model,modality,organ,dice_mean,dice_low,dice_high,hd95_mm_mean,nsd_mean,cases,site"
    )


def test_csv_round_trip_keeps_nan_and_commas(tmp_path):
    path = tmp_path / "new" / "metrics.csv"
    write_csv(path, [ROW, EMPTY], MetricRow)
    assert path.read_text().splitlines()[2] == 'site-1,site-2,test,t1+flair,"b,2",aorta,,,,0'
    first, second = read_csv(path, MetricRow)
    assert first == ROW
    assert second.case == "b,2" and math.isnan(second.dice)
    assert list(path.parent.iterdir()) == [path]


def test_csv_keeps_six_significant_digits(tmp_path):
    write_csv(
        tmp_path / "s.csv",
        [SummaryRow("m", "ct", "mean", 2 / 3, 0, 1, MEANS | {"hd95": 1e3}, 2)],
        SummaryRow,
    )
    assert (tmp_path / "s.csv").read_text().splitlines()[
        1
    ] == "m,ct,mean,0.666667,0,1,1000,0.5,2,all"


def test_no_rows_give_a_heading_only(tmp_path):
    write_csv(tmp_path / "m.csv", [], MetricRow)
    assert (tmp_path / "m.csv").read_text() == ",".join(names(MetricRow)) + "\n"
    assert read_csv(tmp_path / "m.csv", MetricRow) == []


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.csv"
    write_csv(path, [ROW], MetricRow)
    with pytest.raises(TypeError):
        write_csv(path, [ROW, "not a row"], MetricRow)  # type: ignore[list-item]
    assert read_csv(path, MetricRow) == [ROW]
    assert list(tmp_path.iterdir()) == [path]


def test_dict_round_trip_is_plain():
    shared = SharedSummary(
        "m", "site-1", "test", "mr", "mean", 3, 0.5, 0.4, 0.6, {"hd95": math.nan, "nsd": 0.7}
    )
    values = to_dict(shared)
    assert values["hd95_mm_mean"] is None
    assert to_dict(from_dict(SharedSummary, values)) == values
    assert from_dict(MetricRow, to_dict(ROW)) == ROW


def test_errors_name_the_file_and_the_line(tmp_path):
    path = tmp_path / "metrics.csv"
    with pytest.raises(ConfigError, match="file not found"):
        read_csv(path, MetricRow)
    write_csv(path, [ROW, ROW], MetricRow)
    path.write_text(path.read_text().replace("0.75,1000\n", "0.75,many\n", 1))
    with pytest.raises(ConfigError, match=r"metrics\.csv, line 2"):
        read_csv(path, MetricRow)
    path.write_text("model,site\na,b\n")
    with pytest.raises(ConfigError, match="needs exactly the columns"):
        read_csv(path, MetricRow)


def test_summary_of_an_older_run_speaks_of_all_sites(tmp_path):
    path = tmp_path / "summary.csv"
    path.write_text(",".join(names(SummaryRow)[:-1]) + "\nm,ct,mean,0.5,0.4,0.6,9,0.5,3\n")
    assert [row.site for row in read_csv(path, SummaryRow)] == ["all"]
    path.write_text(",".join(names(SummaryRow)[1:]) + "\nct,mean,0.5,0.4,0.6,9,0.5,3,all\n")
    with pytest.raises(ConfigError, match="needs exactly the columns"):
        read_csv(path, SummaryRow)


@pytest.mark.parametrize("text", ["=1+1", "+49", "-a", "@SUM(A1)", "'quoted", "'=1"])
def test_no_cell_is_a_formula_to_a_spreadsheet_and_every_text_comes_back(tmp_path, text):
    path = tmp_path / "s.csv"
    row = SummaryRow(text, text, text, 0.5, 0.4, 0.6, MEANS, 3, text)
    write_csv(path, [row], SummaryRow)
    with path.open(encoding="utf-8", newline="") as stream:
        cells = list(csv.reader(stream))[1]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert read_csv(path, SummaryRow) == [row]


@pytest.mark.parametrize("letter", ["\t", "\r", "\n", "\x1b", "\x00"])
def test_control_character_neither_breaks_a_row_nor_hides_a_formula(tmp_path, letter):
    row = SummaryRow(f"{letter}=1", "ct", "mean", 0.5, 0.4, 0.6, MEANS, 3, f"a{letter}b")
    write_csv(tmp_path / "s.csv", [row], SummaryRow)
    (read,) = read_csv(tmp_path / "s.csv", SummaryRow)
    assert (read.model, read.site) == ("?=1", "a?b")
