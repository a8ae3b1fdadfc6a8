from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subset_rows import GAIN, subset_rows

from fedvox.data.settings import subsets
from fedvox.metrics.subsets import (
    as_held,
    channels_of,
    ordered_subsets,
    parts,
    subset_scores,
    worst_site,
)
from fedvox.metrics.summary import reduce_rows, summarise
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN
from fedvox.metrics.text_table import format_subsets

CHANNELS = ("t1", "t1ce", "t2", "flair")
WHOLE = "+".join(CHANNELS)
HELD = {"a": (WHOLE, 4), "b": ("t1+flair", 3), "c": ("t2", 2)}


def run():
    """The best model on every subset, a site's own on what cases have."""
    return subset_rows(HELD) + subset_rows(HELD, "a", dropping=False)


@given(st.lists(st.sampled_from(subsets(CHANNELS)), max_size=20))
def test_subsets_are_ordered_by_size_then_by_channels(names):
    found = ordered_subsets(names, CHANNELS)
    assert found == [name for name in reversed(_by_place()) if name in names]


def _by_place():
    """All subsets from the complete one down, within a size from the last channel back."""
    return [
        name
        for size in (4, 3, 2, 1)
        for name in reversed([s for s in subsets(CHANNELS) if len(parts(s)) == size])
    ]


def test_channels_come_in_the_jobs_order_or_in_that_of_the_largest_set():
    for names in permutations(("t2", "t1+flair", "flair+t1ce+t2")):
        assert channels_of(names) == ["flair", "t1ce", "t2", "t1"]
        assert channels_of(names, CHANNELS) == list(CHANNELS)


def test_a_case_of_fewer_modalities_is_not_left_out_beside_complete_ones():
    """Site d has two complete cases and three of two modalities, e one of each size."""
    chain = ("t1", "t1+t2", WHOLE)
    own = [("d", WHOLE, 2), ("d", "t1ce+flair", 3), *(("e", held, 1) for held in chain)]
    rows = [
        replace(row, case=f"{place} {row.case}")
        for place, (site, held, cases) in enumerate(own)
        for row in subset_rows({site: (held, cases)})
    ]
    listed = as_held(summarise(rows))
    at = {site: {r.modality for r in listed if r.site == site} for site in "de"}
    assert at == {"d": {WHOLE, "t1ce+flair"}, "e": set(chain)}
    assert {r.modality for r in listed if r.site == ALL_SITES} == at["d"] | at["e"]


def test_tables_list_what_cases_have_and_a_case_once_for_each_model():
    summary = summarise(run())
    listed = as_held(summary)
    at = {
        (site, model): {r.modality for r in listed if (r.site, r.model) == (site, model)}
        for site in (ALL_SITES, *HELD)
        for model in ("global_best", "a")
    }
    for model in ("global_best", "a"):
        assert at[ALL_SITES, model] == {WHOLE, "t1+flair", "t2"}
        assert all(at[site, model] == {whole} for site, (whole, _) in HELD.items())
    assert all(row in summary for row in listed)


def test_a_summary_without_subsets_or_without_sites_is_listed_whole():
    plain = summarise(subset_rows(HELD, dropping=False))
    assert as_held(plain) == plain
    pooled = [row for row in summarise(run()) if row.site == ALL_SITES]
    assert as_held(pooled) == pooled and as_held([]) == []


def test_a_subset_pools_all_cases_that_have_it_each_once():
    own, *sites = subset_scores(summarise(run()), "global_best")
    assert [scores.site for scores in sites] == ["a", "b", "c"]
    assert {name: own.cases(name) for name in ("t1", "t1+flair", "t2", WHOLE, "t1ce")} == {
        "t1": 7,
        "t1+flair": 7,
        "t2": 6,
        WHOLE: 4,
        "t1ce": 4,
    }
    mean_of_two = GAIN["t1"] + 0.05
    assert own.dice("t1") == pytest.approx(mean_of_two - 0.04 * 3 / 7)
    assert own.dice("t1", "tumour_core") == pytest.approx(GAIN["t1"] + 0.2 - 0.04 * 3 / 7)
    assert own.mean_dice() == pytest.approx(sum(own.dice(name) for name in own.rows) / 15)
    assert own.organs == ["tumour_oedema", "tumour_enhancing", "tumour_core", MEAN_ORGAN]


def test_sites_that_share_means_give_the_same_subsets_as_rows():
    rows = run()
    told = summarise(
        [r for r in rows if r.site == "a"], reduce_rows([r for r in rows if r.site != "a"])
    )
    for one, other in zip(
        subset_scores(summarise(rows), "global_best"),
        subset_scores(told, "global_best"),
        strict=True,
    ):
        assert one.site == other.site and one.rows.keys() == other.rows.keys()
        for name in one.rows:
            assert one.dice(name) == pytest.approx(other.dice(name)) and one.cases(
                name
            ) == other.cases(name)


def test_the_worst_subset_and_site_are_those_of_the_lowest_dice():
    scores = subset_scores(summarise(run()), "global_best")
    assert scores[0].worst == "t2"
    worst = worst_site(scores)
    assert worst is not None and (worst.site, worst.worst) == ("a", "t2")
    lower = subset_scores(summarise(subset_rows({"a": ("t1", 1), "b": ("t1", 1)})), "global_best")
    assert worst_site(lower).site == "b"
    assert worst_site(scores[:2]) is None and subset_scores([], "x") == []


def test_the_console_lists_every_subset_with_their_mean_and_the_lowest():
    lines = format_subsets(summarise(run()), CHANNELS, phantom=True).splitlines()
    assert (
        lines[0]
        == "Dice of global_best by modality subset (phantom data, not patients; test cases)"
    )
    assert lines[1].split() == ["modalities", "cases", "oedema", "enh.", "core", "mean"]
    assert [line.split()[0] for line in lines[3:18]] == ordered_subsets(subsets(CHANNELS), CHANNELS)
    assert lines[18].startswith("mean of 15 subsets")
    assert lines[19] == "lowest: 0.100 with t2; at a site: 0.100 at a with t2"
    assert len({line.rindex(".") for line in lines[3:19]}) == 1
    assert format_subsets(summarise(subset_rows({"a": ("t1", 2)}))) == format_subsets([]) == ""
