import math
import random

import numpy as np
import pytest
from metric_values import scores

from fedvox.metrics.interval import mean_interval
from fedvox.metrics.summary import reduce_rows, summarise
from fedvox.metrics.table import ALL_SITES, MetricRow, SharedSummary, SummaryRow, to_dict


def row(
    case: str, organ: str, dice: float, *, site="site-1", split="test", modality="ct", hd=1.0
) -> MetricRow:
    return MetricRow("global_best", site, split, modality, case, organ, scores(dice, hd, dice), 10)


def shared(site: str, cases: int, mean: float, sd: float = math.nan, hd: int = 0) -> SharedSummary:
    ends = (mean - 0.2, mean + 0.2)
    return SharedSummary(
        *("m", site, "test", "ct", "liver", cases, mean, *ends),
        means={"hd95": mean, "nsd": mean},
        dice_sd=sd,
        counts={"hd95": hd, "nsd": cases},
    )


def pooled(rows, parts=()) -> list[SummaryRow]:
    return [group for group in summarise(rows, parts) if group.site == ALL_SITES]


def draw_rows(cases: int = 12) -> list[MetricRow]:
    draw = np.random.default_rng(1)
    return [
        row(f"c{case}", organ, float(draw.uniform(0.4, 0.9)), modality=modality)
        for case in range(cases)
        for organ in ("liver", "spleen")
        for modality in ("ct", "mr")
    ]


def test_mean_over_organs_averages_each_case_first():
    rows = [row("a", "liver", 1.0), row("a", "spleen", 0.0), row("b", "liver", 0.8)]
    liver, spleen, mean = pooled(rows)
    assert [r.organ for r in (liver, spleen, mean)] == ["liver", "spleen", "mean"]
    assert liver.dice_mean == pytest.approx(0.9)
    assert mean.dice_mean == pytest.approx(0.65)  # (0.5 + 0.8) / 2, not (1 + 0 + 0.8) / 3
    assert (liver.cases, spleen.cases, mean.cases) == (2, 1, 2)


def test_only_test_cases_count():
    assert summarise([row("a", "liver", 0.1, split="val")]) == []
    (liver, _) = pooled([row("a", "liver", 0.1, split="train"), row("b", "liver", 0.9)])
    assert liver.dice_mean == 0.9


def test_nan_is_left_out_and_not_counted():
    rows = [
        row("a", "liver", math.nan, hd=math.nan),
        row("b", "liver", 0.6),
        row("c", "liver", 0.8),
    ]
    liver, _ = pooled([*rows, row("d", "liver", 0.0, hd=math.nan)])
    assert liver.cases == 3
    assert liver.dice_mean == pytest.approx(1.4 / 3)
    assert liver.means["hd95"] == 1.0


def test_group_without_evidence_is_nan_with_no_cases():
    liver, mean = pooled([row("a", "liver", math.nan, hd=math.nan)])
    assert liver.cases == mean.cases == 0
    assert all(math.isnan(v) for v in (liver.dice_mean, liver.dice_low, liver.means["hd95"]))


def test_order_of_rows_does_not_matter():
    rows = draw_rows()
    mixed = random.Random(0).sample(rows, len(rows))
    assert summarise(mixed) == summarise(rows)


def test_interval_holds_the_mean():
    for group in summarise(draw_rows()):
        assert 0 <= group.dice_low < group.dice_mean < group.dice_high <= 1


def test_same_case_name_at_two_sites_is_two_cases():
    rows = [row("a", "liver", 0.2), row("a", "liver", 0.4, site="site-2")]
    assert all(group.cases == 2 for group in pooled(rows))


def test_lone_site_that_shares_means_keeps_its_own_interval():
    rows = draw_rows()
    direct = summarise(rows)
    for through, group in zip(summarise([], reduce_rows(rows)), direct, strict=True):
        assert through.dice_mean == pytest.approx(group.dice_mean)
        assert through.cases == group.cases
        assert through.dice_low < through.dice_mean < through.dice_high
    (part,) = pooled([], [shared("a", 4, 0.5)])
    assert (part.dice_low, part.dice_high) == pytest.approx((0.3, 0.7))


def test_reduced_rows_are_plain_and_hold_no_case():
    parts = reduce_rows([*draw_rows(), row("v", "liver", 0.5, split="val")])
    assert {(p.split, p.organ) for p in parts} >= {("val", "mean"), ("test", "liver")}
    assert "case" not in to_dict(parts[0])


def three_sites() -> list[MetricRow]:
    """Sites of 9, 1 and 5 cases with different means; HD95 is missing in eight of the first."""
    draw = np.random.default_rng(4)
    rows = [row(f"a{i}", "liver", 0.0, site="a", hd=math.nan) for i in range(8)]
    rows += [row("a8", "liver", 0.5, site="a", hd=50.0), row("b", "liver", 0.9, site="b", hd=10.0)]
    return rows + [
        row(f"c{i}", "liver", float(draw.beta(9, 1)), site="c", hd=30.0) for i in range(5)
    ]


def test_summaries_give_the_numbers_of_the_rows_to_the_last_digit():
    rows = three_sites()
    direct = summarise(rows)
    assert direct[0].means["hd95"] == pytest.approx((50 + 10 + 5 * 30) / 7)
    for sharing in ({"a", "b", "c"}, {"a"}, {"b", "c"}):
        parts = reduce_rows([r for r in rows if r.site in sharing])
        mixed = summarise([r for r in rows if r.site not in sharing], parts)
        for one, other in zip(mixed, direct, strict=True):
            values, expected = to_dict(one), to_dict(other)
            assert values.keys() == expected.keys()
            for name, value in expected.items():
                assert values[name] == (value if isinstance(value, str) else pytest.approx(value))


def test_pooled_interval_is_that_of_all_cases_together():
    rows = three_sites()
    dice = np.array([r.dice for r in rows])
    liver = pooled(rows)[0]
    expected = mean_interval(len(dice), dice.mean(), dice.std(ddof=1))
    assert (liver.dice_low, liver.dice_high) == pytest.approx(expected)


def test_site_with_two_cases_keeps_their_spread_and_the_others_lend_theirs():
    rows = [row(f"a{i}", "liver", 0.1 * i, site="a") for i in range(2, 8)]
    rows += [row(f"b{i}", "liver", 0.3 + 0.1 * i, site="b") for i in range(2)]
    parts = reduce_rows(rows)
    assert [math.isnan(p.dice_sd) for p in parts if p.organ == "liver"] == [False, True]
    lent = pooled([], parts)[0]
    dice = np.array([r.dice for r in rows])
    within = 6 * np.var(dice[:6], ddof=1)  # 5 degrees of freedom of a, and 1 of b on loan
    between = 6 * (dice[:6].mean() - dice.mean()) ** 2 + 2 * (dice[6:].mean() - dice.mean()) ** 2
    expected = mean_interval(8, dice.mean(), math.sqrt((within + between) / 7))
    assert (lent.dice_low, lent.dice_high) == pytest.approx(expected)


def test_sites_of_which_none_tells_a_spread_have_no_interval():
    (both,) = pooled([], [shared("a", 2, 0.6), shared("b", 2, 0.8)])
    assert both.dice_mean == pytest.approx(0.7)
    assert math.isnan(both.dice_low) and math.isnan(both.dice_high)


@pytest.mark.parametrize("parts", [[("a", 1, 0.9), ("b", 1, 0.1)], [("a", 2, 0.5)]])
def test_two_cases_have_no_interval_however_they_came(parts):
    (both,) = pooled([], [shared(*part) for part in parts])
    assert (both.cases, both.dice_mean) == (2, pytest.approx(0.5))
    assert math.isnan(both.dice_low) and math.isnan(both.dice_high)


@pytest.mark.parametrize("cases", [-5, -3, -1, 0])
def test_count_below_zero_neither_crashes_nor_counts(cases):
    good = [row(f"c{i}", "liver", 0.1 * i + 0.5) for i in range(3)]
    part = SharedSummary("global_best", "b", "test", "ct", "liver", cases, 0.5, 0.4, 0.6, {})
    assert pooled(good, [part]) == pooled(good)


def test_infinite_hd95_is_none():
    rows = [row("a", "liver", 0.5, hd=math.inf), row("b", "liver", 0.7, hd=4.0)]
    assert pooled(rows)[0].means["hd95"] == 4.0


def test_hd95_of_a_site_without_any_does_not_count():
    (both,) = pooled([], [shared("a", 30, 0.6, 0.1), shared("b", 10, 0.8, 0.1, hd=4)])
    assert both.means["hd95"] == 0.8  # the helper gives the mean Dice for HD95 too
    assert both.means["nsd"] == pytest.approx(0.65)


def test_pooled_rows_come_first_then_each_site_by_name():
    rows = [row("x", "liver", 0.9, site="b"), row("y", "liver", 0.5, site="a", modality="mr")]
    parts = [shared("c", 4, 0.7)]
    found = [(g.site, g.model, g.modality, g.organ) for g in summarise(rows, parts)]
    best = "global_best"
    assert found == [
        ("all", best, "ct", "liver"),
        ("all", best, "ct", "mean"),
        ("all", best, "mr", "liver"),
        ("all", best, "mr", "mean"),
        ("all", "m", "ct", "liver"),
        ("a", best, "mr", "liver"),
        ("a", best, "mr", "mean"),
        ("b", best, "ct", "liver"),
        ("b", best, "ct", "mean"),
        ("c", "m", "ct", "liver"),
    ]


def test_site_called_all_is_not_taken_for_all_sites():
    rows = [row("x", "liver", 0.9, site="all"), row("y", "liver", 0.5, site="b")]
    found = {g.site: g.dice_mean for g in summarise(rows) if g.organ == "liver"}
    assert found == {"all": pytest.approx(0.7), "b": 0.5, "site all": 0.9}


def test_rows_of_a_site_speak_of_its_cases_only():
    rows = three_sites()
    liver = {g.site: g for g in summarise(rows) if g.organ == "liver"}
    assert {site: g.cases for site, g in liver.items()} == {"all": 15, "a": 9, "b": 1, "c": 5}
    assert liver["b"].dice_mean == 0.9 and math.isnan(liver["b"].dice_low)
    assert liver["a"].means["hd95"] == 50.0


def test_per_case_rows_and_shared_means_combine():
    rows = [row(f"c{i}", "liver", 0.6) for i in range(3)]
    part = reduce_rows([row("x", "liver", 0.9, site="site-2")])
    liver = summarise(rows, part)[0]
    assert liver.cases == 4
    assert liver.dice_mean == pytest.approx((3 * 0.6 + 0.9) / 4)


def test_regions_do_not_enter_the_mean():
    organs = {"tumour_core": 0.1, "tumour_necrotic": 0.6, "tumour_oedema": 0.8, "tumour_whole": 0.2}
    rows = [row("a", organ, dice) for organ, dice in organs.items()]
    found = {group.organ: group.dice_mean for group in pooled(rows)}
    assert found == pytest.approx({**organs, "mean": 0.7})
