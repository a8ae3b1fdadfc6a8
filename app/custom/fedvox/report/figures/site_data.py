"""Figures of a site's data: intensities, voxel sizes, fields of view, volumes of organs."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from fedvox.data.check.case import CaseReport
from fedvox.data.check.intensities import BINS, CT_RANGE
from fedvox.data.organs import CANONICAL
from fedvox.report.figures.axes import INK, style_axes
from fedvox.report.figures.palette import ORGAN_COLOURS

_LINE, _MARK = "#0b5c8c", "#b3480f"
_AXES = ("right", "anterior", "superior")
_WIDTH = 10.5  # inches


def draw_intensities(cases: Sequence[CaseReport]) -> bytes | None:
    """Histograms per modality: each case as a thin line, the median of all as a thick one.

    Returns:
        A PNG, or None if no image could be read.
    """
    modalities = sorted({name for case in cases for name in case.intensities})
    if not modalities:
        return None
    figure = _figure(3.0 * -(-len(modalities) // 2))
    columns = min(2, len(modalities))
    grid = figure.subplots(-(-len(modalities) // 2), columns, squeeze=False).ravel()
    for axes in grid[len(modalities) :]:
        axes.set_visible(False)
    for axes, name in zip(grid, modalities):
        seen = [case.intensities[name].shares for case in cases if name in case.intensities]
        _draw_histogram(axes, name, np.stack(seen))
    return _png(figure)


def draw_grids(cases: Sequence[CaseReport], spacing: Sequence[float] | None) -> bytes | None:
    """Voxel size and field of view of each case along right, anterior, superior.

    Args:
        cases: reports of the cases.
        spacing: voxel size of the job's grid in mm, marked if given.

    Returns:
        A PNG, or None if no image could be read.
    """
    sizes = np.array([case.spacing for case in cases if case.spacing])
    if not len(sizes):
        return None
    shapes = np.array([case.shape for case in cases if case.shape])
    figure = _figure(2.6)
    panels = (
        ("Voxel size, mm" + (" (bars: the job's grid)" if spacing else ""), sizes),
        ("Field of view, mm", sizes * shapes),
        ("Voxels along the axis", shapes),
    )
    for axes, (title, values) in zip(figure.subplots(1, 3), panels):
        style_axes(axes, title)
        for row in range(3):
            _scatter(axes, values[:, row], 2 - row, _LINE)
        axes.set_yticks([2, 1, 0], _AXES)
        axes.set_ylim(-0.5, 2.5)
        axes.set_xlim(0, float(values.max()) * 1.08)
        if spacing and title.startswith("Voxel size"):
            axes.plot(spacing, [2, 1, 0], "|", ms=20, mew=2, c=_MARK)
            axes.set_xlim(0, max(float(values.max()), *spacing) * 1.08)
    return _png(figure)


def draw_volumes(volumes: dict[str, list[float]]) -> bytes | None:
    """Volume of each organ, one point per case, on a logarithmic axis.

    Args:
        volumes: ml, from :func:`fedvox.data.check.summary.organ_volumes`.

    Returns:
        A PNG, or None if no label holds an organ.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    organs = [organ for organ in CANONICAL if organ in volumes]
    if not organs:
        return None
    figure = _figure(0.9 + 0.3 * len(organs))
    axes = figure.subplots()
    style_axes(axes, "Volume in the label, ml")
    for row, organ in enumerate(reversed(organs)):
        values = np.array(volumes[organ])
        axes.plot([np.median(values)], [row], "|", ms=16, mew=2, c=INK)
        _scatter(axes, values, row, ORGAN_COLOURS[organ])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(
        range(len(organs)),
        [f"{o.replace('_', ' ')} ({len(volumes[o])})" for o in reversed(organs)],
    )
    axes.set_ylim(-0.6, len(organs) - 0.4)
    return _png(figure)


def _draw_histogram(axes: Any, modality: str, shares: np.ndarray) -> None:
    low, high = CT_RANGE if modality == "ct" else (0.0, 1.0)
    places = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    for row in shares[:200]:
        axes.plot(places, row, lw=0.6, c=_LINE, alpha=max(0.08, 0.5 / len(shares) ** 0.5))
    axes.plot(places, np.median(shares, axis=0), lw=2, c=INK, label="median case")
    plural = "s" if len(shares) > 1 else ""
    style_axes(axes, f"{modality.upper()}, {len(shares)} case{plural}")
    ct, other = "intensity, HU", "intensity between the body's percentiles 0.5 and 99.5"
    axes.set_xlabel(ct if modality == "ct" else other, color=INK, fontsize=9)
    axes.set_ylabel("share of voxels", color=INK, fontsize=9)
    axes.set_yscale("log")
    axes.set_ylim(1e-4, 1)
    axes.legend(frameon=False, fontsize=8)


def _scatter(axes: Any, values: np.ndarray, row: float, colour: str) -> None:
    """Points along a row, spread a little so that equal ones can be seen."""
    spread = 0.16 * np.sin(2.4 * np.arange(len(values)))
    axes.plot(values, row + spread, "o", ms=4, c=colour, mec="#5f6b76", mew=0.4, alpha=0.75)


def _figure(height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
