"""One look for the panels of every figure."""

from typing import Any

INK, GRID, EDGE = "#1f2933", "#e4e7eb", "#9aa5b1"


def dress(axes: Any, title: str = "", size: int = 11) -> None:
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
