import html
import json

import pytest
from metric_values import scores

from fedvox.aggregation.rounds_file import write_rounds
from fedvox.metrics.table import MetricRow
from fedvox.report.records.run_record import SiteCases, write_run_record
from fedvox.report.results import results_text, write_results

ROUND = {"round": 0, "contributors": [{"site": "a", "modality": "ct"}], "validation": {}}


def written(
    folder, number: int, rows: list[MetricRow], settings: dict | None = None, **described
) -> str:
    """Writes a run of one round whose model.json says that version ``number`` was chosen."""
    write_rounds(folder / "rounds.jsonl", [ROUND])
    described |= {"job": "tiny", "round": number, "settings": settings or {}}
    (folder / "model.json").write_text(json.dumps(described))
    write_run_record(folder, "tiny", "simulate_job", [SiteCases("a", 3, 0, 2), SiteCases("c", 5)])
    return results_text(write_results(folder, rows, [], [ROUND], 20, False), folder, False)


def rows() -> list[MetricRow]:
    return [
        MetricRow(model, site, "test", "ct", f"c{case}", "liver", scores(dice + 0.1 * case), 9)
        for model in ("global_best", "global_last")
        for site, dice in (("a", 0.7), ("b", 0.3))
        for case in range(2)
    ]


def test_console_tells_the_run_the_tables_and_the_silent_sites(tmp_path):
    text = written(tmp_path, 0, rows())
    head, sites, *_ = text.strip().splitlines()
    assert head.startswith("tiny, 20") and " UTC, simulated, fedvox " in head
    assert sites == (
        "3 sites (2 with CT, 1 with modality unknown); 1 round; cases: 8 train, 0 val, 2 test"
    )
    assert "global_last" in text
    assert "\nlowest of global_best: 0.350 at b, ct\n" in text
    assert "\nno result of c\n" in text


def test_console_shows_a_last_model_that_was_chosen_once(tmp_path):
    text = written(tmp_path, 1, rows())
    assert text.count("global_best = last") == 3  # the table, the sites' table, the lowest
    assert "both are shown once" in text


@pytest.mark.parametrize("personal", [["norm"], []])
def test_console_and_page_say_where_a_global_name_is_one_model_per_site(tmp_path, personal):
    text = written(tmp_path, 0, rows(), {"training": {"personal": personal}})
    page = (tmp_path / "report.html").read_text()
    for told in (text, html.unescape(page)):
        said = "global_best and global_last are not one model each: 'training.personal' (norm)"
        assert told.count(said) == (1 if personal else 0)
        assert told.count("fedvox/own_model/") == (1 if personal else 0)


@pytest.mark.parametrize(("trained", "count"), [(["mr", "t1+t2"], 1), (["mr", "ct+mr"], 0)])
def test_console_and_page_say_which_modality_no_site_trained(tmp_path, trained, count):
    text = written(tmp_path, 0, rows(), modalities=trained)
    page = (tmp_path / "report.html").read_text()
    said = "no site trained ct; scores of it"
    assert [told.count(said) for told in (text, page)] == [count, count]


def test_console_of_a_run_without_test_cases_says_so(tmp_path):
    assert "no test case at any site, so there is no Dice table" in written(tmp_path, 0, [])


@pytest.mark.parametrize("name", ["a$b$c", "_a", "a\x1b[2J"])
def test_every_name_of_a_site_can_be_written_and_drawn(tmp_path, name):
    record = ROUND | {"contributors": [{"site": name, "modality": "ct", "train_loss": 0.5}]}
    write_rounds(tmp_path / "rounds.jsonl", [record])
    write_run_record(tmp_path, name, name, [SiteCases(name, 3)])
    summary = write_results(tmp_path, [], [], [record], 20, False)
    assert "\x1b" not in results_text(summary, tmp_path, False)
    assert (tmp_path / "progress.png").is_file()
