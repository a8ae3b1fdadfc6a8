"""Bytes by round: what the messages weighed, and what they bought."""

import io
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from fedvox.report.figures.axes import INK, legend_below, style_axes
from fedvox.report.figures.palette import CURVE_COLOURS
from fedvox.report.records.rounds import bytes_of, mean_validation

Record = Mapping[str, Any]
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_FEWEST = 10
"""Of a unit that the sum of all bytes must reach for it to be the axis's."""


def dice_by_bytes(rounds: Sequence[Record]) -> list[tuple[float, float]]:
    """Of each validated model: the bytes that all rounds before it sent, and its mean Dice.

    A round's validation is that of the model which it started from. Rounds that lack a modality
    are left out, since their mean would be another one.
    """
    spent = [0.0, *accumulate(bytes_of(r, "bytes_up") + bytes_of(r, "bytes_down") for r in rounds)]
    modalities = sorted({name for record in rounds for name in record.get("validation") or {}})
    points = [(cost, mean_validation(r, modalities)) for cost, r in zip(spent, rounds)]
    return [(cost, dice) for cost, dice in points if math.isfinite(dice)]


def draw_traffic(rounds: Sequence[Record]) -> bytes:
    """Dice by bytes, and bytes by round.

    Args:
        rounds: records of ``rounds.jsonl``.

    Returns:
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10.5, 3.8), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    bought, sent = figure.subplots(1, 2)
    trained = [record for record in rounds if not record.get("final")]
    points = dice_by_bytes(rounds)
    unit, size = _unit([cost for cost, _ in points])
    costs, scores = [cost / size for cost, _ in points], [dice for _, dice in points]
    bought.plot(costs, scores, "o-", ms=4.5, lw=1.6, c=CURVE_COLOURS[0])
    style_axes(bought, "What the bytes bought")
    bought.set_xlabel(f"{unit} sent so far, up and down, all sites", color=INK)
    bought.set_ylabel("validation Dice of the global model", color=INK)
    bought.set_ylim(0, 1)
    numbers = [int(record["round"]) + 1 for record in trained]
    unit, size = _unit([bytes_of(r, "bytes_up") + bytes_of(r, "bytes_down") for r in trained])
    foot = [0.0] * len(trained)
    for index, way in enumerate(("up", "down")):
        heights = [bytes_of(record, f"bytes_{way}") / size for record in trained]
        colour = CURVE_COLOURS[index]
        sent.bar(numbers, heights, 0.7, bottom=foot, color=colour, label=way)
        foot = [low + height for low, height in zip(foot, heights)]
    style_axes(sent, "Bytes of each round")
    sent.set_xlabel("round", color=INK)
    sent.set_ylabel(unit, color=INK)
    sent.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(sent)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _unit(values: Sequence[float]) -> tuple[str, float]:
    """The largest unit in which the largest value is not small."""
    largest = max(values, default=0.0)
    fitting = [(unit, size) for unit, size in _UNITS.items() if largest >= _FEWEST * size]
    return fitting[-1] if fitting else ("kB", 1e3)
