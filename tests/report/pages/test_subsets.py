import json

import pytest
from page_markup import check_alone, checked_tags
from subset_rows import subset_rows

from fedvox.metrics.summary import summarise
from fedvox.metrics.table import MetricRow, SummaryRow, write_csv
from fedvox.report.pages.run_page import write_report
from fedvox.report.pages.subsets import MOST_SITES
from fedvox.report.records.facts import site_modalities
from fedvox.report.records.run_files import read_run
from fedvox.report.results import results_text

CHANNELS = ["t1", "t1ce", "t2", "flair"]
WHOLE = "+".join(CHANNELS)
HELD = {"a": (WHOLE, 4), "<b>": ("t1+flair", 3)}


@pytest.fixture
def write_run(tmp_path):
    """A function that writes a run whose models were scored on subsets, and returns its page."""

    def write(held=HELD, subsets: bool = True) -> str:
        rows = subset_rows(held) + subset_rows(held, "a", dropping=False)
        write_csv(tmp_path / "summary.csv", summarise(rows), SummaryRow)
        settings = {"data": {"channels": CHANNELS}, "evaluation": {"subsets": subsets}}
        model = {"job": "mixmfl", "phantom": True, "round": 2, "settings": settings}
        (tmp_path / "model.json").write_text(json.dumps(model))
        return write_report(tmp_path).read_text()

    return write


def part_of(page: str, anchor: str) -> str:
    return page.partition(f'<section id="{anchor}"')[2].partition("</section>")[0]


def test_the_section_shows_every_subset_and_names_the_worst_subset_and_site(write_run):
    page = write_run()
    checked_tags(page)
    check_alone(page)
    part = part_of(page, "subsets")
    assert (
        "Of 15 subsets global_best is worst with <strong>T2 alone</strong>: mean Dice 0.100 (4 "
        "test cases); of the sites at <strong>a</strong>, with T2 alone: 0.100 (4 test cases). The "
        "mean of the subsets is 0.3"
    ) in part
    assert "data:image/png;base64," in part and "Phantom data." in part
    assert "has a panel" not in part
    assert part.count('<th scope="row">') == 15 + 1
    assert '<th scope="row">T1+FLAIR</th><td class="n">7</td>' in part


def test_other_tables_list_what_cases_have(write_run, tmp_path):
    page = write_run()
    for anchor in ("result", "hospitals", "models", "organs"):
        part = part_of(page, anchor)
        assert "T1+FLAIR" in part and "T1+T1CE+T2+FLAIR" in part
        assert "T1+T2" not in part and ">T1<" not in part
    assert "count more cases" in part_of(page, "models")
    assert site_modalities(read_run(tmp_path)) == {"<b>": ("t1+flair",), "a": (WHOLE,)}


def test_the_console_has_a_table_of_subsets_beside_the_short_ones(write_run, tmp_path):
    write_run()
    run = read_run(tmp_path)
    text = results_text(run.summary, tmp_path, True)
    assert "by modality subset (phantom data" in text and "count more cases" in text
    dice, _, sites = text.partition("Mean Dice over organs by site")
    assert dice.count("\nglobal_best") == 2 and "lowest of global_best" in sites


def test_a_run_that_did_not_score_subsets_has_no_such_section(write_run, tmp_path):
    page = write_run(subsets=False)
    assert 'id="subsets"' not in page and "count more cases" not in page
    assert "T1+T2" in part_of(page, "hospitals")
    assert "subset" not in results_text(read_run(tmp_path).summary, tmp_path, True)
    (tmp_path / "model.json").unlink()
    assert 'id="subsets"' not in write_report(tmp_path).read_text()


def test_of_many_sites_the_worst_has_a_panel(write_run):
    held = {f"site-{k}": ("t1+t2", 1) for k in range(MOST_SITES + 1)}
    part = part_of(write_run(held), "subsets")
    assert f"Of {MOST_SITES + 1} sites the one with the lowest number has a panel." in part
    assert "of the sites at <strong>site-1</strong>" in part


def test_wide_panels_are_those_of_all_sites_and_the_worst(write_run, monkeypatch):
    monkeypatch.setattr("fedvox.report.pages.subsets.MOST_COLUMNS", 3)
    assert "Of 2 sites the one with the lowest number has a panel." in write_run()


def test_a_single_site_is_not_named_beside_all(write_run):
    part = part_of(write_run({"a": (WHOLE, 2)}), "subsets")
    assert "of the sites" not in part and "is worst with" in part


def test_tables_of_an_evaluation_tell_by_their_cases_that_subsets_were_scored(tmp_path):
    for dropping in (True, False):
        rows = subset_rows({"a": (WHOLE, 2), "b": ("t1", 1)}, dropping=dropping)
        write_csv(tmp_path / "metrics.csv", rows, MetricRow)
        assert read_run(tmp_path).subsets is dropping
        assert ('id="subsets"' in write_report(tmp_path).read_text()) is dropping
