"""Dice by modality subset in the field's form: dots for what is given, a number for each structure.

Reference:
    Ding et al., "RFNet: region-aware fusion network for incomplete multi-modal brain tumor
    segmentation", ICCV 2021, table 1: one row per subset, filled dots for what is given.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from fedvox.data.settings import parts
from fedvox.metrics.subsets import SubsetScores, ordered_subsets
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN
from fedvox.metrics.text_table import short_name
from fedvox.report.figures.axes import EDGE, INK, plain_text

RAMP = ("#ffffff", "#d9ebf6", "#4f9fd3")
"""Colours of Dice 0 to 1: ever darker, so that they stay apart in grey, and never so dark that the
number on them is hard to read."""
MOST_COLUMNS = 8
"""Columns up to which two panels stand side by side."""
_SOFT, _FAINT, _FRAME = "#52606d", "#eef0f2", "#d55e00"

# All lengths in inches.
_WIDTH, _MARGIN, _BETWEEN = 10.5, 0.12, 0.3
_ROW, _GAP, _HEAD, _TITLE, _FOOT = 0.21, 0.06, 0.5, 0.28, 0.28
_DOT, _AFTER_DOTS, _LEAST_DOTS, _CASES = 0.29, 0.12, 1.25, 0.5
_WIDEST_CELL = 1.25
_LONGEST = 44
"""Letters of a site's name in a title."""
_LEGEND = (
    "Number and colour: mean Dice over cases. Filled dot: modality given, open dot: left out. "
    "Frame: lowest mean of a panel."
)


@dataclass(frozen=True)
class _Panel:
    """One entry's rows and columns, and where they stand, in inches from its top left corner.

    Attributes:
        own: the scores.
        channels: one per dot.
        organs: one per column.
        width: of the panel.
    """

    own: SubsetScores
    channels: Sequence[str]
    organs: Sequence[str]
    width: float

    @property
    def tops(self) -> dict[str, float]:
        """Subset -> top of its row, the smallest first, a gap where their size changes."""
        names = ordered_subsets(self.own.rows, self.channels)
        sizes = [len(parts(name)) for name in names]
        steps = [0.0, *(_ROW + _GAP * (a != b) for a, b in pairwise(sizes))]
        return {n: _TITLE + _HEAD + top for n, top in zip(names, accumulate(steps), strict=True)}

    @property
    def mean_top(self) -> float:
        """Top of the last row, the mean of the subsets."""
        return max(self.tops.values()) + _ROW + 2 * _GAP

    @property
    def height(self) -> float:
        return self.mean_top + _ROW

    @property
    def start(self) -> float:
        """Where the columns begin; the last row's name needs room too."""
        return max(_DOT * len(self.channels) + _AFTER_DOTS, _LEAST_DOTS)

    @property
    def cell(self) -> float:
        """Width of a column."""
        return min(_WIDEST_CELL, (self.width - self.start - _GAP - _CASES) / len(self.organs))

    def left(self, column: int) -> float:
        """Where a column begins, a gap before the last one, the mean."""
        gap = _GAP if column >= len(self.organs) - 1 else 0.0
        return self.start + self.cell * column + gap


def draw_subsets(scores: Sequence[SubsetScores], channels: Sequence[str]) -> bytes:
    """One panel per entry: a row per subset, a column per structure, the mean of the subsets last.

    Args:
        scores: of all sites first, which has every structure; then of single sites.
        channels: modalities in the job's order.

    Returns:
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    organs = scores[0].organs
    beside = 2 if len(scores) > 1 and len(organs) <= MOST_COLUMNS else 1
    width = (_WIDTH - 2 * _MARGIN - _BETWEEN * (beside - 1)) / beside
    panels = [_Panel(own, channels, organs, width) for own in scores]
    places, foot = _places(panels, beside)
    height = foot + _FOOT + _MARGIN
    figure = Figure(figsize=(_WIDTH, height), dpi=140, facecolor="white")
    FigureCanvasAgg(figure)
    for panel, (left, top) in zip(panels, places, strict=True):
        low = (height - top - panel.height) / height
        box = (left / _WIDTH, low, width / _WIDTH, panel.height / height)
        _draw_panel(figure.add_axes(box), panel)
    figure.text(_MARGIN / _WIDTH, _MARGIN / height, _LEGEND, fontsize=8, color=_SOFT, va="bottom")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _places(panels: Sequence[_Panel], beside: int) -> tuple[list[tuple[float, float]], float]:
    """Left and top of each panel, each in the column that is shortest so far; and their foot."""
    feet, places = [_MARGIN] * beside, []
    for panel in panels:
        column = feet.index(min(feet))
        places.append((_MARGIN + column * (panel.width + _BETWEEN), feet[column]))
        feet[column] += panel.height + _BETWEEN
    return places, max(feet) - _BETWEEN


def _draw_panel(axes: Any, panel: _Panel) -> None:
    own = panel.own
    axes.set_xlim(0, panel.width)
    axes.set_ylim(panel.height, 0)
    axes.set_axis_off()
    axes.text(0, 0.02, _title(own), fontsize=11, color=INK, va="top")
    _draw_headings(axes, panel)
    for name, top in panel.tops.items():
        _draw_dots(axes, name, top, panel)
        for column, organ in enumerate(panel.organs):
            _draw_cell(axes, panel, own.dice(name, organ), column, top, own.worst == name)
        right = panel.left(len(panel.organs)) + 0.3
        _write(axes, right, top, f"{own.cases(name)}", ha="right", color=_SOFT, fontsize=8.5)
    _write(axes, 0, panel.mean_top, "mean of subsets", fontsize=8.5, weight="bold")
    for column, organ in enumerate(panel.organs):
        _draw_cell(axes, panel, own.mean_dice(organ), column, panel.mean_top)


def _title(own: SubsetScores) -> str:
    name = "All sites" if own.site == ALL_SITES else own.site
    return plain_text(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")


def _draw_headings(axes: Any, panel: _Panel) -> None:
    """Names over dots and columns, turned, so that long ones fit."""
    foot = _TITLE + _HEAD - 0.06
    style = {"fontsize": 8.5, "color": INK, "va": "bottom", "ha": "left", "rotation": 45}
    style |= {"rotation_mode": "anchor"}
    for place, name in enumerate(panel.channels):
        axes.text(_DOT * (place + 0.45), foot, plain_text(name.upper()), **style)
    for column, organ in enumerate(panel.organs):
        middle = panel.left(column) + 0.45 * panel.cell
        weight = "bold" if organ == MEAN_ORGAN else "normal"
        axes.text(middle, foot, plain_text(short_name(organ)), **style, weight=weight)
    axes.text(panel.left(len(panel.organs)) + 0.15, foot, "cases", **{**style, "color": _SOFT})


def _draw_dots(axes: Any, subset: str, top: float, panel: _Panel) -> None:
    given = parts(subset)
    for place, name in enumerate(panel.channels):
        fill = {"mfc": INK, "mec": INK} if name in given else {"mfc": "white", "mec": EDGE}
        axes.plot([_DOT * (place + 0.5)], [top + _ROW / 2], "o", ms=7, mew=1, **fill)


def _draw_cell(
    axes: Any, panel: _Panel, dice: float, column: int, top: float, worst: bool = False
) -> None:
    """A coloured field with its number; grey without any, framed where it is the lowest mean."""
    from matplotlib.patches import Rectangle

    left, is_mean = panel.left(column), panel.organs[column] == MEAN_ORGAN
    known = not math.isnan(dice)
    colour = cell_colour(dice) if known else _FAINT
    box = Rectangle((left, top), panel.cell, _ROW, facecolor=colour, edgecolor="white", lw=1)
    if worst and is_mean:
        box.set(edgecolor=_FRAME, lw=2, zorder=5)
    axes.add_patch(box)
    if known:
        weight = "bold" if is_mean or top == panel.mean_top else "normal"
        middle = left + panel.cell / 2
        _write(axes, middle, top, f"{dice:.2f}", ha="center", weight=weight, fontsize=9, zorder=6)


def cell_colour(dice: float) -> tuple[float, float, float]:
    """The colour of a Dice on :data:`RAMP`, as red, green and blue from 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    red, green, blue, _ = LinearSegmentedColormap.from_list("dice", RAMP)(float(dice))
    return red, green, blue


def _write(axes: Any, x: float, top: float, text: str, **style: Any) -> None:
    """A line of text in the middle of a row."""
    axes.text(x, top + _ROW / 2 + 0.01, text, **{"color": INK, "va": "center_baseline", **style})
