import math
from dataclasses import replace

import pytest
from metric_values import scores

from fedvox.data.organs import CANONICAL, REGIONS
from fedvox.metrics.summary import reduce_rows, summarise
from fedvox.metrics.table import MetricRow, SummaryRow
from fedvox.metrics.text_table import format_sites, format_table


def row(model: str, site: str, case: int, dice: float, modality="ct", organ="liver") -> MetricRow:
    return MetricRow(model, site, "test", modality, f"c{case}", organ, scores(dice, 1.0, dice), 10)


def run(cases: int = 4, sites: int = 2) -> list[MetricRow]:
    """Models global_best, global_last and each site's own, better at site-1 than elsewhere."""
    names = [f"site-{number}" for number in range(1, sites + 1)]
    return [
        row(model, site, case, 0.9 - 0.1 * place + 0.01 * case, "ct" if place == 0 else "mr")
        for model in ("global_best", "global_last", *names)
        for place, site in enumerate(names)
        for case in range(cases)
    ]


def test_table_lines_up_and_says_phantom():
    table = format_table(summarise(run()), phantom=True)
    title, heading, rule, *lines = table.splitlines()
    assert "phantom" in title
    assert heading.split() == ["model", "modality", "cases", "liver", "mean", "[95%", "interval]"]
    assert set(rule) == {"-", " "}
    assert [line.split("  ")[0] for line in lines[:8]] == [
        *["global_best"] * 2,
        *["global_last"] * 2,
        *["site-1 (own)"] * 2,
        *["site-2 (own)"] * 2,
    ]
    assert "phantom" not in format_table([])


def test_note_says_what_a_model_named_after_a_site_is():
    assert (
        format_table(summarise(run()))
        .splitlines()[-1]
        .startswith("SITE (own): the model that the site itself had after its last local training")
    )
    globals_only = [r for r in run() if r.model.startswith("global")]
    assert "own" not in format_table(summarise(globals_only))


def test_best_model_that_is_the_last_is_shown_once_and_said_to_be():
    table = format_table(summarise(run()), last_is_best=True)
    assert table.count("\nglobal_best = last  ") == 2
    assert "\nglobal_last " not in table
    assert "\nglobal_best is the model after the last round" in table
    assert "global_last" not in format_sites(summarise(run()), last_is_best=True)


def test_interval_needs_three_cases_and_the_table_says_so():
    def line(cases: int) -> str:
        return format_table(summarise(run(cases)[:cases])).splitlines()[3]

    assert [line(n).split()[-1] for n in (1, 2)] == ["0.900", "0.905"]
    assert line(3).endswith("]")
    assert "no interval below 3 cases" in format_table(summarise(run(2)))
    assert "no interval below" not in format_table(summarise(run(3)))


def test_a_missing_interval_of_enough_cases_is_explained_without_guessing():
    own = [row for row in run(2, 1) if row.model == "global_best"]
    two = [replace(row, site=site) for site in "ab" for row in reduce_rows(own)]
    table = format_table(summarise([], two))
    assert "no interval where the cases do not differ, or no site tells their spread" in table
    alike = [replace(row, scores=scores(0.0)) for row in run(4, 1) if row.model == "global_best"]
    assert format_table(summarise(alike)).endswith("no interval where the cases do not differ")


def test_cases_without_any_spread_have_no_interval():
    rows = [row("global_best", "a", case, 0.5) for case in range(5)]
    assert format_table(summarise(rows)).splitlines()[3].split()[-1] == "0.500"


def test_organ_without_evidence_is_a_dash():
    rows = [row("global_best", "a", 0, 0.5), row("global_best", "a", 0, math.nan, organ="aorta")]
    line = format_table(summarise(rows)).splitlines()[3]
    assert line.split() == ["global_best", "ct", "1", "0.500", "-", "0.500"]


def test_regions_stand_behind_their_parts():
    organs = ("tumour_core", "tumour_necrotic", "tumour_oedema", "tumour_whole")
    rows = [row("global_best", "a", 0, 0.5, organ=organ) for organ in organs]
    heading = format_table(summarise(rows)).splitlines()[1].split()
    assert heading[3:7] == ["necr.", "oedema", "whole", "core"]


def test_every_canonical_structure_has_a_short_heading():
    for organ in (*CANONICAL, *REGIONS):
        rows = [row("global_best", "a", 0, 0.5, organ=organ)]
        heading = format_table(summarise(rows)).splitlines()[1].split()
        assert len(heading[3]) <= 9


def test_each_site_has_a_line_and_the_worst_is_named():
    title, heading, _, first, second, end = format_sites(summarise(run())).splitlines()
    assert title == "Mean Dice over organs by site"
    assert heading.split("  ")[-1] == "site-2 (own)"
    assert first.split() == ["site-1", "ct", "4", *["0.915"] * 4]
    assert second.split() == ["site-2", "mr", "4", *["0.815"] * 4]
    assert end == "lowest of global_best: 0.815 at site-2, mr"


def test_a_site_that_only_tests_is_marked_and_explained():
    *_, second, note, _ = format_sites(summarise(run()), external={"site-2"}).splitlines()
    assert second.startswith("site-2 (external)  mr")
    assert note == "external: the site trains nothing, so its cases are new to every model"
    assert "external" not in format_sites(summarise(run()), external={"site-9"})


def test_model_scored_on_fewer_cases_than_others_says_so():
    rows = [r for r in run() if (r.model, r.site, r.case) != ("global_last", "site-2", "c0")]
    assert "0.820 (n=3)" in format_sites(summarise(rows))


def test_many_sites_get_a_narrow_table_with_their_own_models():
    lines = format_sites(summarise(run(1, sites=9))).splitlines()
    assert lines[1].endswith("global_best  global_last  site's own")
    assert len(lines) == 3 + 9 + 1


def test_single_site_has_no_table_by_site():
    assert format_sites(summarise(run(sites=1))) == ""
    assert format_sites([SummaryRow("m", "ct", "mean", 0.5, 0.4, 0.6, {}, 3)]) == ""


@pytest.mark.parametrize("letter", ["\x1b", "\r", "\n", "\u202e"])
def test_control_characters_do_not_reach_the_terminal(letter):
    rows = [*run(), row(f"a{letter}b", f"a{letter}b", 0, 0.5)]
    text = format_table(summarise(rows)) + format_sites(summarise(rows))
    assert "a?b" in text and f"a{letter}b" not in text


def test_long_names_of_sites_do_not_make_the_table_by_site_endless():
    names = {"site-1": "Klinikum-" + "a" * 55, "site-2": "Klinikum-" + "b" * 55}
    rows = [
        replace(r, site=names[r.site], model=names.get(r.model, r.model)) for r in run() if r.site
    ]
    table = format_sites(summarise(rows))
    assert max(map(len, table.splitlines())) < 130
    assert "site's own" in table and " (own)" not in table
