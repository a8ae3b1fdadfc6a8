"""Each site's share in the mean over the rounds, one line per site."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.report.figures.axes import INK, plain_text, style_axes
from fedvox.report.figures.palette import CURVE_COLOURS, CURVE_MARKERS
from fedvox.report.records.rounds import number_of

Record = Mapping[str, Any]
Curves = dict[str, dict[int, float]]
"""Site -> round, from 1 -> share."""

MOST_NAMED = 14
"""Names beside the lines, those of the largest shares; more would not fit."""
_LONGEST = 28
_CONNECTOR = {"arrowstyle": "-", "lw": 0.6, "alpha": 0.6, "relpos": (0, 0.5), "shrinkB": 0}
_GAP = 0.06
"""Of two names, as a part of the height of the panel."""


def share_curves(rounds: Sequence[Record]) -> Curves:
    """The shares of each site in the rounds that took its update."""
    curves: Curves = {}
    for record in rounds:
        for part in record.get("contributors") or []:
            share = number_of(part, "weight")
            if math.isfinite(share):
                curve = curves.setdefault(str(part.get("site", "?")), {})
                curve[int(record["round"]) + 1] = share
    return dict(sorted(curves.items()))


def draw_weights(curves: Curves) -> bytes:
    """One line per site with its name beside its end; a round without the site is a gap.

    Args:
        curves: site -> round, from 1 -> share.

    Returns:
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10.5, 3.8), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rounds = sorted({number for curve in curves.values() for number in curve}) or [1]
    top = 1.1 * max((s for curve in curves.values() for s in curve.values()), default=1.0)
    span = range(rounds[0], rounds[-1] + 1)
    for index, curve in enumerate(curves.values()):
        marker = CURVE_MARKERS[index % len(CURVE_MARKERS)]
        shares = [curve.get(number, math.nan) for number in span]
        axes.plot(list(span), shares, marker=marker, ms=4.5, lw=1.6, c=_colour(index))
    style_axes(axes, "Share of each site in the global model")
    axes.set_xlabel("round", color=INK)
    axes.set_ylabel("share in the mean", color=INK)
    axes.set_xlim(rounds[0] - 0.3, rounds[-1] + 0.3)
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _name_lines(axes, curves, top)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _name_lines(axes: Any, curves: Curves, top: float) -> None:
    """Names at the right, moved apart where ends of lines lie close together."""
    ends = {site: curve[max(curve)] for site, curve in curves.items()}
    named = sorted(sorted(ends, key=lambda s: -ends[s])[:MOST_NAMED], key=lambda s: ends[s])
    places = spread([ends[site] for site in named], _GAP * top, top)
    colours = {site: _colour(index) for index, site in enumerate(curves)}
    for site, place in zip(named, places, strict=True):
        text = site if len(site) <= _LONGEST else f"{site[: _LONGEST - 1]}…"
        axes.annotate(
            plain_text(text),
            (max(curves[site]), ends[site]),
            (1.02, place),
            textcoords=axes.get_yaxis_transform(),
            annotation_clip=False,
            va="center",
            fontsize=9,
            color=colours[site],
            arrowprops={**_CONNECTOR, "color": colours[site]},
        )


def spread(values: Sequence[float], gap: float, top: float) -> list[float]:
    """Places of labels, a gap apart and not above ``top``, as near to the values as that allows.

    Args:
        values: ascending.
        gap: between two labels.
        top: of the last label.
    """
    places: list[float] = []
    for value in values:
        places.append(max(value, places[-1] + gap) if places else value)
    count = len(places)
    return [min(place, top - gap * (count - 1 - i)) for i, place in enumerate(places)]


def _colour(index: int) -> str:
    return CURVE_COLOURS[index % len(CURVE_COLOURS)]
