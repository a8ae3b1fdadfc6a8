"""One look for the panels of every figure."""

import math
from typing import Any

from fedvox.cells import printable

INK, GRID, EDGE = "#1f2933", "#e4e7eb", "#9aa5b1"
LINE = 0.18
"""Height of a legend's line in inches."""


def style_axes(axes: Any, title: str = "", size: int = 11) -> None:
    """A grid behind the data, an open frame, and a title at the left.

    Args:
        axes: a panel of Matplotlib.
        title: empty leaves it out.
        size: of the title in points; numbers are two points smaller.
    """
    if title:
        axes.set_title(title, loc="left", color=INK, fontsize=size)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=size - 2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(EDGE)


def legend_below(axes: Any) -> int:
    """A legend under the axis, where it covers no curve; nothing without a labelled curve.

    Args:
        axes: a panel of a figure with constrained layout, which makes room for it by making the
            panel lower: give a figure with many names :data:`LINE` more height for each.

    Returns:
        Lines of the legend.
    """
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return 0
    widest = max(map(len, labels))
    columns = max(1, min(4, 72 // (widest + 6)))
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        frameon=False,
        fontsize=8,
        ncols=columns,
    )
    return math.ceil(len(handles) / columns)


def plain_text(text: object) -> str:
    """Text for a figure as it is: no formula between dollar signs, no control character."""
    return printable(str(text)).replace("$", r"\$")
