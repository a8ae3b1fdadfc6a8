import math
import random

import numpy as np
import pytest

from fedvox.data.organs import CANONICAL, REGIONS
from fedvox.metrics.summary import bootstrap_interval, reduce_rows, summarise
from fedvox.metrics.table import MetricRow, SharedSummary, to_dict
from fedvox.metrics.text_table import format_table


def row(
    case: str, organ: str, dice: float, *, site="site-1", split="test", modality="ct", hd=1.0
) -> MetricRow:
    return MetricRow("global_best", site, split, modality, case, organ, dice, hd, dice, 10)


def shared(site: str, cases: int, mean: float, half: float) -> SharedSummary:
    return SharedSummary(
        "m", site, "test", "ct", "liver", cases, mean, mean - half, mean + half, mean, mean
    )


def draw_rows(cases: int = 12) -> list[MetricRow]:
    draw = np.random.default_rng(1)
    return [
        row(f"c{case}", organ, float(draw.uniform(0.4, 0.9)), modality=modality)
        for case in range(cases)
        for organ in ("liver", "spleen")
        for modality in ("ct", "mr")
    ]


def test_bootstrap_of_a_constant_is_the_constant():
    assert bootstrap_interval([0.7] * 5, 200, seed=1) == pytest.approx((0.7, 0.7))


def test_bootstrap_of_many_cases_nears_the_normal_interval():
    values = np.random.default_rng(0).normal(0.5, 0.1, size=400)
    low, high = bootstrap_interval(values, 4000, seed=3)
    half = 1.96 * values.std() / math.sqrt(400)
    # 4000 resamples place each end with an error of about 3 percent of the half width.
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_without_values_has_no_interval():
    assert all(math.isnan(end) for end in bootstrap_interval([], 100, seed=0))


def test_mean_over_organs_averages_each_case_first():
    rows = [row("a", "liver", 1.0), row("a", "spleen", 0.0), row("b", "liver", 0.8)]
    liver, spleen, mean = summarise(rows)
    assert [r.organ for r in (liver, spleen, mean)] == ["liver", "spleen", "mean"]
    assert liver.dice_mean == pytest.approx(0.9)
    assert mean.dice_mean == pytest.approx(0.65)  # (0.5 + 0.8) / 2, not (1 + 0 + 0.8) / 3
    assert (liver.cases, spleen.cases, mean.cases) == (2, 1, 2)


def test_only_test_cases_count():
    assert summarise([row("a", "liver", 0.1, split="val")]) == []
    (liver, _) = summarise([row("a", "liver", 0.1, split="train"), row("b", "liver", 0.9)])
    assert liver.dice_mean == 0.9


def test_nan_is_left_out_and_not_counted():
    rows = [
        row("a", "liver", math.nan, hd=math.nan),
        row("b", "liver", 0.6),
        row("c", "liver", 0.8),
    ]
    liver, _ = summarise([*rows, row("d", "liver", 0.0, hd=math.nan)])
    assert liver.cases == 3
    assert liver.dice_mean == pytest.approx(1.4 / 3)
    assert liver.hd95_mm_mean == 1.0


def test_group_without_evidence_is_nan_with_no_cases():
    liver, mean = summarise([row("a", "liver", math.nan, hd=math.nan)])
    assert liver.cases == mean.cases == 0
    assert all(math.isnan(v) for v in (liver.dice_mean, liver.dice_low, liver.hd95_mm_mean))


def test_order_of_rows_does_not_matter():
    rows = draw_rows()
    mixed = random.Random(0).sample(rows, len(rows))
    assert summarise(mixed) == summarise(rows)
    assert summarise(rows, seed=1) != summarise(rows, seed=0)


def test_interval_holds_the_mean():
    for group in summarise(draw_rows()):
        assert 0 <= group.dice_low < group.dice_mean < group.dice_high <= 1


def test_same_case_name_at_two_sites_is_two_cases():
    rows = [row("a", "liver", 0.2), row("a", "liver", 0.4, site="site-2")]
    assert all(group.cases == 2 for group in summarise(rows))


def test_lone_site_that_shares_means_keeps_its_own_interval():
    rows = draw_rows()
    direct = summarise(rows)
    for through, group in zip(summarise([], reduce_rows(rows)), direct, strict=True):
        assert through.dice_mean == pytest.approx(group.dice_mean)
        assert through.cases == group.cases
        assert through.dice_low < through.dice_mean < through.dice_high
    (part,) = summarise([], [shared("a", 4, 0.5, 0.2)])
    assert (part.dice_low, part.dice_high) == pytest.approx((0.3, 0.7))


def test_reduced_rows_are_plain_and_hold_no_case():
    parts = reduce_rows([*draw_rows(), row("v", "liver", 0.5, split="val")])
    assert {(p.split, p.organ) for p in parts} >= {("val", "mean"), ("test", "liver")}
    assert "case" not in to_dict(parts[0])


def test_two_sites_pool_as_strata():
    (both,) = summarise([], [shared("a", 30, 0.6, 0.02), shared("b", 10, 0.8, 0.08)])
    assert both.cases == 40
    assert both.dice_mean == pytest.approx(0.65)
    assert both.hd95_mm_mean == pytest.approx(0.65)
    half = math.hypot(30 * 0.02, 10 * 0.08) / 40
    assert (both.dice_low, both.dice_high) == pytest.approx((0.65 - half, 0.65 + half))


def test_pooling_never_leaves_the_unit_interval():
    (both,) = summarise([], [shared("a", 2, 0.99, 0.3), shared("b", 2, 0.99, 0.3)])
    assert both.dice_high == 1.0


def test_lone_case_borrows_the_spread_of_the_others():
    (both,) = summarise([], [shared("a", 4, 0.5, 0.1), shared("b", 1, 0.5, 0.0)])
    half = math.hypot(4 * 0.1, 0.1 * math.sqrt(4)) / 5
    assert both.dice_high - both.dice_mean == pytest.approx(half)


def test_per_case_rows_and_shared_means_combine():
    rows = [row(f"c{i}", "liver", 0.6) for i in range(3)]
    part = reduce_rows([row("x", "liver", 0.9, site="site-2")])
    liver = summarise(rows, part)[0]
    assert liver.cases == 4
    assert liver.dice_mean == pytest.approx((3 * 0.6 + 0.9) / 4)


def test_table_lines_up_and_says_phantom():
    table = format_table(summarise(draw_rows()), phantom=True)
    title, heading, rule, *lines = table.splitlines()
    assert "phantom" in title
    assert heading.split()[:5] == ["model", "modality", "cases", "liver", "spleen"]
    assert set(rule) == {"-", " "}
    assert [line.split()[:3] for line in lines] == [
        ["global_best", "ct", "12"],
        ["global_best", "mr", "12"],
    ]
    assert "phantom" not in format_table([])


def test_table_shows_no_interval_for_a_single_case_and_a_dash_for_none():
    rows = [row("a", "liver", 0.5), row("a", "aorta", math.nan)]
    line = format_table(summarise(rows)).splitlines()[-1]
    assert line.split() == ["global_best", "ct", "1", "0.500", "-", "0.500"]


def test_regions_stand_in_the_table_and_not_in_the_mean():
    organs = {"tumour_core": 0.1, "tumour_necrotic": 0.6, "tumour_oedema": 0.8, "tumour_whole": 0.2}
    rows = [row("a", organ, dice) for organ, dice in organs.items()]
    found = {group.organ: group.dice_mean for group in summarise(rows)}
    assert found == pytest.approx({**organs, "mean": 0.7})
    heading = format_table(summarise(rows)).splitlines()[1].split()
    assert heading[3:7] == ["necr.", "oedema", "whole", "core"]


def test_every_canonical_structure_has_a_short_heading():
    for organ in (*CANONICAL, *REGIONS):
        heading = format_table(summarise([row("a", organ, 0.5)])).splitlines()[1].split()
        assert len(heading[3]) <= 9
