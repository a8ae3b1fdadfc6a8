"""The learning curves of a run: training loss per site and validation Dice per modality."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.files import atomic_path
from fedvox.report.figures.axes import INK, LINE, legend_below, plain_text, style_axes
from fedvox.report.figures.palette import CURVE_COLOURS, CURVE_MARKERS
from fedvox.report.records.rounds import mean_validation, number_of

_HEIGHT = 4.6
"""Inches of a figure whose legends have two lines."""
_MOST_NAMED = 12
"""Sites named in the legend; beyond it the curves stay and the names go."""


def draw_progress(
    rounds: Sequence[Mapping[str, Any]], path: Path, phantom: bool, chosen: int | None = None
) -> None:
    """Draws the learning curves as a PNG.

    Left: mean training loss of each site in each round, counted from 1, with a cross where the
    server refused the site's update. Right: validation Dice of the global model after each round,
    0 being the initial model, per modality and their mean, with the chosen model marked at the mean
    over the modalities that its round has, or the best mean where the choice is not known. Missing
    and NaN values leave gaps; so does the mean where a modality is missing, since it would be
    another mean. Legends stand below the axes, where they cover no curve.

    Args:
        rounds: records of ``rounds.jsonl``, see :func:`fedvox.aggregation.rounds_file.read_rounds`.
        path: the PNG to write.
        phantom: whether the cases are phantoms; the title then says so.
        chosen: rounds that the chosen model has behind it, as in ``model.json``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, _HEIGHT), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    losses, dice = figure.subplots(1, 2)
    lines = max(_draw_losses(losses, rounds), _draw_dice(dice, rounds, chosen))
    figure.set_figheight(_HEIGHT + LINE * max(0, lines - 2))
    numbers = [int(record["round"]) for record in rounds] or [0]
    trained = [int(record["round"]) + 1 for record in rounds if not record.get("final")] or [1]
    _dress(losses, "round", trained)
    _dress(dice, "rounds that the model has behind it", numbers)
    if phantom:
        figure.suptitle("Phantom data: a test instrument, not evidence about patients", color=INK)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_losses(axes: Any, rounds: Sequence[Mapping[str, Any]]) -> int:
    """Draws the left panel and gives the lines of its legend."""
    axes.set_title("Training loss per site", loc="left", color=INK, fontsize=11)
    axes.set_ylabel("mean loss of the round", color=INK)
    curves = _losses(rounds)
    refused = _refusals(rounds)
    sites = sorted({*curves, *refused})
    for index, site in enumerate(sites):
        colour = CURVE_COLOURS[index % len(CURVE_COLOURS)]
        points = curves.get(site, {})
        if points:
            axes.plot(
                list(points),
                list(points.values()),
                CURVE_MARKERS[index % len(CURVE_MARKERS)] + "-",
                ms=4.5,
                lw=1.6,
                c=colour,
                label=_label(site),
            )
        if site in refused:
            marks = [points.get(number, math.nan) for number in refused[site]]
            _mark_refused(axes, refused[site], marks, colour, f"{_label(site)}: refused")
    if not sites:
        _say(axes, "no training loss on record")
    return legend_below(axes) if len(sites) <= _MOST_NAMED else 0


def _losses(rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = {}
    for record in rounds:
        for part in record.get("contributors") or []:
            curve = curves.setdefault(str(part.get("site", "?")), {})
            curve[int(record["round"]) + 1] = number_of(part, "train_loss")
    return {
        site: curve for site, curve in curves.items() if any(map(math.isfinite, curve.values()))
    }


def _refusals(rounds: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    refused: dict[str, list[int]] = {}
    trained = [record for record in rounds if not record.get("final")]  # the last refuses reports
    for record in trained:
        for part in record.get("refused") or []:
            refused.setdefault(str(part.get("site", "?")), []).append(int(record["round"]) + 1)
    return refused


def _mark_refused(
    axes: Any, numbers: Sequence[int], losses: Sequence[float], colour: str, label: str
) -> None:
    """Crosses on the site's curve, or at the foot of the panel where the loss is unknown."""
    style = {"marker": "X", "ms": 9, "ls": "none", "c": colour, "mec": "white", "zorder": 4}
    on_curve = [(n, loss) for n, loss in zip(numbers, losses) if math.isfinite(loss)]
    at_foot = [n for n, loss in zip(numbers, losses) if not math.isfinite(loss)]
    if on_curve:
        axes.plot(*zip(*on_curve), label=label, **style)
    if at_foot:
        foot = {} if on_curve else {"label": label}
        heights = [0.04] * len(at_foot)
        axes.plot(at_foot, heights, transform=axes.get_xaxis_transform(), **foot, **style)


def _draw_dice(axes: Any, rounds: Sequence[Mapping[str, Any]], chosen: int | None) -> int:
    """Draws the right panel and gives the lines of its legend."""
    axes.set_title("Validation Dice of the global model", loc="left", color=INK, fontsize=11)
    axes.set_ylabel("mean Dice over organs and cases", color=INK)
    axes.set_ylim(0, 1)
    numbers = [int(record["round"]) for record in rounds]
    modalities = sorted({name for record in rounds for name in record.get("validation") or {}})
    for index, name in enumerate(modalities):
        scores = [number_of(record.get("validation") or {}, name) for record in rounds]
        colour = CURVE_COLOURS[index % len(CURVE_COLOURS)]
        marker = CURVE_MARKERS[index % len(CURVE_MARKERS)]
        style = {"ms": 4.5, "lw": 1.6, "c": colour}
        axes.plot(numbers, scores, f"{marker}-", label=_label(name.upper()), **style)
    means = {n: mean_validation(r, modalities) for n, r in zip(numbers, rounds)}
    known = {n: mean for n, mean in means.items() if math.isfinite(mean)}
    if not modalities:
        _say(axes, "no validation Dice on record")
        return 0
    if len(modalities) > 1:
        axes.plot(numbers, list(means.values()), "--", lw=2, c=INK, label="mean")
    if chosen is not None:
        own = next((record for n, record in zip(numbers, rounds) if n == chosen), {})
        _mark_model(axes, "chosen", chosen, mean_validation(own), _lacking(own, modalities))
    elif known:
        best = max(known, key=lambda n: (known[n], -n))
        _mark_model(axes, "best", best, known[best])
    return legend_below(axes)


def _lacking(record: Mapping[str, Any], modalities: Sequence[str]) -> str:
    """The modalities that a round's mean lacks, in words for the legend."""
    own = record.get("validation") or {}
    names = [name for name in modalities if not math.isfinite(number_of(own, name))]
    return f" without {', '.join(plain_text(name.upper()) for name in names)}" if names else ""


def _mark_model(axes: Any, word: str, number: int, dice: float, lacking: str = "") -> None:
    """A star at a round's mean; none where it has no mean."""
    if math.isfinite(dice):
        after = f"after {number} round{'' if number == 1 else 's'}"
        style = {"ms": 15, "c": "#F0C000", "mec": INK, "ls": "none", "zorder": 5}
        axes.plot([number], [dice], "*", label=f"{word}: {dice:.3f}{lacking} {after}", **style)


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#616e7c")


def _label(name: str) -> str:
    """A name for the legend; a first underscore would keep it out of there."""
    return " " * name.startswith("_") + plain_text(name)


def _dress(axes: Any, title: str, numbers: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(title, color=INK)
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style_axes(axes)
