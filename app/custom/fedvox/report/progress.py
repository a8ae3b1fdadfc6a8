"""The learning curves of a run: training loss per site and validation Dice per modality."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.files import atomic_path
from fedvox.report.axes import INK, dress
from fedvox.report.rounds import mean_validation, number_of

# Okabe and Ito's palette, which stays apart under the common forms of colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#555555")
_MOST_NAMED = 12
"""Sites named in the legend; beyond it the curves stay and the names go."""


def draw_progress(rounds: Sequence[Mapping[str, Any]], path: Path, phantom: bool) -> None:
    """Draws the learning curves as a PNG.

    Left: mean training loss of each site in each round, with a cross where the server refused the
    site's update. Right: validation Dice of the global model as it enters each round, per modality
    and their mean, with the best round marked. Missing and NaN values leave gaps.

    Args:
        rounds: records of ``rounds.jsonl``, see :func:`fedvox.report.rounds.read_rounds`.
        path: the PNG to write.
        phantom: whether the cases are phantoms; the title then says so.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.2), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    losses, dice = figure.subplots(1, 2)
    _draw_losses(losses, rounds)
    _draw_dice(dice, rounds)
    for axes in (losses, dice):
        _dress(axes, rounds)
    if phantom:
        figure.suptitle("Phantom data: a test instrument, not evidence about patients", color=INK)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_losses(axes: Any, rounds: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Training loss per site", loc="left", color=INK, fontsize=11)
    axes.set_ylabel("mean loss of the round", color=INK)
    curves = _losses(rounds)
    refused = _refusals(rounds)
    sites = sorted({*curves, *refused})
    for index, site in enumerate(sites):
        colour = _COLOURS[index % len(_COLOURS)]
        points = curves.get(site, {})
        if points:
            axes.plot(
                list(points), list(points.values()), "o-", ms=3.5, lw=1.6, c=colour, label=site
            )
        if site in refused:
            marks = [points.get(number, math.nan) for number in refused[site]]
            _mark_refused(axes, refused[site], marks, colour, f"{site}: refused")
    if not sites:
        _say(axes, "no training loss on record")
    elif len(sites) <= _MOST_NAMED:
        axes.legend(frameon=False, fontsize=8, ncols=1 + len(sites) // 7)


def _losses(rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = {}
    for record in rounds:
        for part in record.get("contributors") or []:
            curve = curves.setdefault(str(part.get("site", "?")), {})
            curve[int(record["round"])] = number_of(part, "train_loss")
    return {
        site: curve for site, curve in curves.items() if any(map(math.isfinite, curve.values()))
    }


def _refusals(rounds: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    refused: dict[str, list[int]] = {}
    for record in rounds:
        for part in record.get("refused") or []:
            refused.setdefault(str(part.get("site", "?")), []).append(int(record["round"]))
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


def _draw_dice(axes: Any, rounds: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Validation Dice of the global model", loc="left", color=INK, fontsize=11)
    axes.set_ylabel("mean Dice over organs and cases", color=INK)
    axes.set_ylim(0, 1)
    numbers = [int(record["round"]) for record in rounds]
    modalities = sorted({name for record in rounds for name in record.get("validation") or {}})
    for index, name in enumerate(modalities):
        scores = [number_of(record.get("validation") or {}, name) for record in rounds]
        colour = _COLOURS[index % len(_COLOURS)]
        axes.plot(numbers, scores, "o-", ms=3.5, lw=1.6, c=colour, label=name.upper())
    means = [mean_validation(record) for record in rounds]
    known = [(mean, -number) for mean, number in zip(means, numbers) if math.isfinite(mean)]
    if not known:
        _say(axes, "no validation Dice on record")
        return
    if len(modalities) > 1:
        axes.plot(numbers, means, "--", lw=2, c=INK, label="mean")
    best, number = max(_chosen(rounds) or known)
    label = f"best: {best:.3f} after {-number} rounds"
    axes.plot([-number], [best], "*", ms=15, c="#F0C000", mec=INK, ls="none", zorder=5, label=label)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _chosen(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """The version that the run chose; where sites missed rounds it need not have the best mean."""
    found = [(mean_validation(r), -int(r["round"])) for r in rounds if r.get("chosen")]
    return [pair for pair in found if math.isfinite(pair[0])]


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#616e7c")


def _dress(axes: Any, rounds: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("round", color=INK)
    numbers = [int(record["round"]) for record in rounds] or [0]
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    dress(axes)
