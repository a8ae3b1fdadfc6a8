"""The fingerprint as a picture: one row per modality, its histograms side by side."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedvox.planning.fingerprint import EXTENT, FEATURES, ORGAN_HU, SPACING, Fingerprint
from fedvox.planning.plan import Plan
from fedvox.report.figures.axes import INK, style_axes

_MARK = "#b3480f"
_COLOURS = ("#0072B2", "#E69F00", "#555555")  # apart under every form of colour blindness
_AXES = ("right", "anterior", "superior")


def draw_fingerprint(fingerprints: Mapping[str, Fingerprint], plan: Plan) -> bytes:
    """Voxel size, extent and HU of the organs per modality, with the planned values.

    Args:
        fingerprints: modality -> fingerprint over all sites.
        plan: marked in the panels.

    Returns:
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(10.5, 2.6 * len(fingerprints)), dpi=140, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(fingerprints), 3, squeeze=False)
    note = " (phantoms)" if plan.phantom else ""
    for row, (modality, own) in zip(grid, fingerprints.items()):
        name = f"{modality.upper()}{note}, {own.counted[SPACING[0]]} cases"
        _draw_axes(row[0], own, SPACING, f"{name}: voxel size, mm", plan.spacing)
        _draw_axes(row[1], own, EXTENT, "extent, mm", ())
        _draw_organs(row[2], own, plan)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_axes(
    panel: Any, own: Fingerprint, features: tuple[str, ...], title: str, marks: tuple[float, ...]
) -> None:
    style_axes(panel, title, 10)
    for name, colour, axis in zip(features, _COLOURS, _AXES):
        _bars(panel, own, name, colour, axis)
    for mark, colour in zip(marks, _COLOURS):
        panel.axvline(mark, color=colour, lw=1, ls="--")
    panel.set_ylabel("share of cases", color=INK, fontsize=9)
    panel.legend(frameon=False, fontsize=8)


def _draw_organs(panel: Any, own: Fingerprint, plan: Plan) -> None:
    if not own.counted.get(ORGAN_HU):
        panel.set_visible(False)
        return
    style_axes(panel, "HU inside the organs", 10)
    _bars(panel, own, ORGAN_HU, _COLOURS[0], "")
    for mark in plan.ct_window or ():
        panel.axvline(mark, color=_MARK, lw=1, ls="--")


def _bars(panel: Any, own: Fingerprint, feature: str, colour: str, label: str) -> None:
    """Filled bins only, as steps."""
    bins, shares = FEATURES[feature], own.shares(feature)
    filled = np.flatnonzero(shares)
    first, last = max(0, filled[0] - 2), min(bins.count, filled[-1] + 3)
    panel.stairs(
        shares[first:last],
        bins.edges[first : last + 1],
        color=colour,
        fill=True,
        alpha=0.55,
        label=label or None,
    )
