import io
import math

import matplotlib.image
import pytest
from matplotlib.colors import to_rgb
from subset_rows import subset_rows

from fedvox.metrics.subsets import SubsetScores, subset_scores
from fedvox.metrics.summary import summarise
from fedvox.report.figures.axes import INK
from fedvox.report.figures.subsets import cell_colour, draw_subsets

CHANNELS = ("t1", "t1ce", "t2", "flair")
WHOLE = "+".join(CHANNELS)


def drawn(held: dict, channels=CHANNELS):
    scores = subset_scores(summarise(subset_rows(held)), "global_best")
    return matplotlib.image.imread(io.BytesIO(draw_subsets(scores, channels)))[..., :3]


@pytest.mark.parametrize(
    "held",
    [
        {"a": (WHOLE, 1)},
        {"$a_{1}$": (WHOLE, 3), "b" * 64: ("t1+flair", 2), "c": ("t2", 1)},
        {"a": ("t1+t2", 1)},
        {"a": ("t1", 1), "b": ("t2", 1)},
    ],
    ids=["four", "sites of other sets", "two", "no set of two"],
)
def test_any_sets_of_modalities_give_a_picture_of_one_width(held):
    pixels = drawn(held)
    assert pixels.shape[1] == 1470 and pixels.shape[0] < 2200
    assert pixels.min() < 0.2 and (pixels[:, -10:] > 0.99).all()  # nothing runs out of the picture


def test_a_site_with_fewer_subsets_takes_less_room():
    small = drawn({"a": (WHOLE, 1), "b": (WHOLE, 1), "c": ("t1+t2", 1), "d": ("t1+t2", 1)})
    large = drawn({"a": (WHOLE, 1), "b": (WHOLE, 1), "c": (WHOLE, 1), "d": (WHOLE, 1)})
    assert small.shape[0] < large.shape[0]


def test_a_structure_without_evidence_is_an_empty_field():
    scores = subset_scores(summarise(subset_rows({"a": (WHOLE, 1)})), "global_best")[0]
    rows = {name: dict(own) for name, own in scores.rows.items()}
    rows["t1"].pop("tumour_core")
    assert math.isnan(SubsetScores("all", rows).dice("t1", "tumour_core"))
    assert draw_subsets([SubsetScores("all", rows)], CHANNELS) != draw_subsets([scores], CHANNELS)


def test_numbers_stay_readable_and_more_is_darker():
    grounds = [_luminance(cell_colour(dice / 100)) for dice in range(101)]
    assert grounds == sorted(grounds, reverse=True)
    assert (grounds[-1] + 0.05) / (_luminance(to_rgb(INK)) + 0.05) > 4.5  # WCAG 2, level AA


def _luminance(colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
