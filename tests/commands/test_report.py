import argparse
import json

import pytest
from metric_values import means, scores

from fedvox.commands import report
from fedvox.errors import ConfigError
from fedvox.metrics.table import MetricRow, SummaryRow, read_csv, write_csv

ROW = MetricRow("global_best", "site-1", "test", "ct", "a1", "liver", scores(0.9, 4.5, 0.75), 1000)
ROUND = {"round": 0, "contributors": [{"site": "site-1", "train_loss": 0.5}], "validation": {}}


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="fedvox")
    report.add_parser(result.add_subparsers())
    return result


def call(folder) -> int:
    args = parser().parse_args(["report", str(folder)])
    return args.run(args)


def test_report_draws_figures_and_page_and_prints_the_path(tmp_path, capsys):
    write_csv(tmp_path / "metrics.csv", [ROW], MetricRow)
    (tmp_path / "rounds.jsonl").write_text(json.dumps(ROUND) + "\n")
    assert call(tmp_path) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").is_file() and (tmp_path / "progress.png").is_file()
    found = [(row.site, row.organ) for row in read_csv(tmp_path / "summary.csv", SummaryRow)]
    sites = ("all", ROW.site)
    assert found == [(site, organ) for site in sites for organ in ("liver", "mean")]


def test_summary_of_the_run_is_left_alone(tmp_path):
    write_csv(tmp_path / "metrics.csv", [ROW], MetricRow)
    kept = SummaryRow("global_best", "ct", "liver", 0.5, 0.4, 0.6, means(), 7)
    write_csv(tmp_path / "summary.csv", [kept], SummaryRow)
    assert call(tmp_path) == 0
    assert read_csv(tmp_path / "summary.csv", SummaryRow) == [kept]


def test_interrupted_run_gets_its_learning_curves(tmp_path):
    (tmp_path / "rounds.jsonl").write_text(json.dumps(ROUND) + '\n{"round": 1, "cont')
    assert call(tmp_path) == 0
    assert (tmp_path / "progress.png").is_file()


def test_missing_folder_and_other_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder; name a run folder"):
        call(tmp_path / "none")
    with pytest.raises(ConfigError, match="not a run folder"):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["report", "--help"])
    assert stop.value.code == 0
    assert "fedvox report runs/fedgin" in capsys.readouterr().out
