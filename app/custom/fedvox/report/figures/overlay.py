"""One case at a glance: three slices with the predicted organs and the outline of the reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.errors import DataError
from fedvox.files import atomic_path
from fedvox.report.figures.axes import plain_text
from fedvox.report.figures.organ_names import write_names
from fedvox.report.figures.palette import ORGAN_COLOURS, OTHER_COLOUR

_PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # name: the axis that the slice is cut across
_FIGURE_WIDTH, _TALLEST = 11.0, 6.5  # inches
_GAP, _HEAD, _LEGEND_LINE = 0.12, 0.46, 0.22  # inches


def draw_overlay(
    image: np.ndarray,
    prediction: np.ndarray,
    reference: np.ndarray | None,
    organs: Sequence[str],
    spacing: tuple[float, float, float],
    path: Path,
    title: str,
) -> None:
    """Draws an axial, a coronal and a sagittal slice of a segmented case as a PNG.

    The prediction is filled, the reference outlined, each organ named. Display is radiological: the
    patient's right on the left of the image, anterior up in the axial and to the left in the
    sagittal slice, head up in the others. All three share one scale in mm.

    Args:
        image: intensities, shape ``(X, Y, Z)``, axes to the right, anterior, superior (RAS).
        prediction: label map of that shape; organ i of ``organs`` has the value i + 1.
        reference: label map of the reference, or None.
        organs: canonical organ names in label order; each has its own fixed colour.
        spacing: voxel size along x, y and z in mm.
        path: the PNG to write.
        title: printed above; must not identify the patient.

    Raises:
        DataError: the maps are not on the grid of the image.
    """
    for labels in (prediction, reference):
        if labels is not None and labels.shape != image.shape:
            raise DataError(
                f"cannot draw labels of shape {labels.shape} over an image of shape {image.shape}; "
                "resample them to one grid"
            )
    labelled = prediction if reference is None else np.where(reference > 0, reference, prediction)
    values = set(np.unique(prediction)) | set(np.unique(labelled))
    present = [organ for value, organ in enumerate(organs, start=1) if value in values]
    figure, panels, foot = _lay_out(image.shape, spacing, len(present))
    low, high = display_window(image, labelled > 0)
    for (plane, axis), axes in zip(_PLANES.items(), panels):
        index = fullest_slice(labelled, len(organs), axis)
        axes.imshow(
            radiological_slice(image, axis, index), cmap="gray", vmin=low, vmax=high, aspect="auto"
        )
        _draw_labels(axes, radiological_slice(prediction, axis, index), organs, filled=True)
        if reference is not None:
            _draw_labels(axes, radiological_slice(reference, axis, index), organs, filled=False)
        _letter(axes, plane)
        write_names(axes, _named(prediction, reference, axis, index), organs)
    head = plain_text(title)
    figure.text(0.012, 1 - 0.5 * _HEAD / foot[1], head, fontsize=12, va="center", color="#1f2933")
    note = "filled: prediction" + ("" if reference is None else "   outline: reference")
    figure.text(
        0.988, 1 - 0.5 * _HEAD / foot[1], note, fontsize=9, va="center", ha="right", color="#52606d"
    )
    _legend(figure, present, foot)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def radiological_slice(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Cuts a RAS volume and turns the slice as a radiologist looks at it.

    Args:
        volume: shape ``(X, Y, Z)``, RAS.
        axis: 2 for axial, 1 for coronal, 0 for sagittal.
        index: of the slice along ``axis``.

    Returns:
        Shape ``(rows, columns)``, row 0 at the top: columns run from the patient's right to the
        left (sagittal: anterior to posterior), rows from anterior to posterior (axial) or from
        head to foot.
    """
    return np.take(volume, index, axis=axis)[::-1, ::-1].T


def fullest_slice(labels: np.ndarray, organs: int, axis: int) -> int:
    """The slice that shows the organs best; the middle one when there are none.

    Each organ votes with its area in the slice over its largest area, so that a liver does not
    outvote a pancreas.

    Args:
        labels: label map, shape ``(X, Y, Z)``.
        organs: number of organs; organ i has the value i + 1.
        axis: the axis to cut across.
    """
    others = tuple(other for other in range(3) if other != axis)
    votes = np.zeros(labels.shape[axis])
    for value in range(1, organs + 1):
        areas = (labels == value).sum(axis=others)
        votes += areas / max(int(areas.max()), 1)
    return int(votes.argmax()) if votes.any() else labels.shape[axis] // 2


def display_window(image: np.ndarray, organs: np.ndarray) -> tuple[float, float]:
    """Grey-level window on the organs, as a reader would set it for soft tissue.

    The central 90% of the organs' intensities take the middle third of the window, which is cut
    at the central 99% of the whole image: neither bone, metal nor a few stray voxels set it.

    Args:
        image: intensities, shape ``(X, Y, Z)``.
        organs: boolean mask of the labelled voxels, same shape.

    Returns:
        Intensities shown as black and as white.
    """
    finite = np.isfinite(image)
    if not finite.any():
        return 0.0, 1.0
    darkest, brightest = np.percentile(image[finite], [0.5, 99.5])
    inside = image[finite & organs]
    low, high = np.percentile(inside, [5, 95]) if inside.size else (darkest, brightest)
    width = max(high - low, 0.1 * (brightest - darkest), 1e-6)
    middle = (low + high) / 2
    low, high = max(middle - 1.5 * width, darkest), min(middle + 1.5 * width, brightest)
    return float(low), float(max(high, low + 1e-6))


def _named(
    prediction: np.ndarray, reference: np.ndarray | None, axis: int, index: int
) -> np.ndarray:
    """What names point at in a slice: the prediction, and reference organs that it lacks there."""
    shown = radiological_slice(prediction, axis, index)
    if reference is None:
        return shown
    truth = radiological_slice(reference, axis, index)
    missed = np.isin(truth, np.setdiff1d(truth, shown)) & (shown == 0)
    return np.where(missed, truth, shown)


def _lay_out(
    shape: Sequence[int], spacing: Sequence[float], entries: int
) -> tuple[Any, list[Any], tuple[float, float]]:
    """A figure with one axes per plane, all at one scale in mm.

    Returns:
        The figure, its three axes, and (height of the legend, height of the figure) in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x, y, z = (count * size for count, size in zip(shape, spacing))
    sizes = [(x, y), (x, z), (y, z)]  # width and height in mm: axial, coronal, sagittal
    room = _FIGURE_WIDTH - 4 * _GAP
    scale = min(room / sum(w for w, _ in sizes), _TALLEST / max(h for _, h in sizes))
    legend = _LEGEND_LINE * (2 + (max(entries, 1) - 1) // 6)
    tall = scale * max(h for _, h in sizes)
    height = _HEAD + tall + legend
    figure = Figure(figsize=(_FIGURE_WIDTH, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    left = (_FIGURE_WIDTH - 2 * _GAP - scale * sum(w for w, _ in sizes)) / 2
    panels = []
    for w, h in sizes:
        bottom = legend + (tall - scale * h) / 2
        box = (left / _FIGURE_WIDTH, bottom / height, scale * w / _FIGURE_WIDTH, scale * h / height)
        panels.append(figure.add_axes(box))
        left += scale * w + _GAP
    return figure, panels, (legend, height)


def _draw_labels(axes: Any, labels: np.ndarray, organs: Sequence[str], filled: bool) -> None:
    from matplotlib.colors import to_rgba

    fill = np.zeros((*labels.shape, 4))
    rows, columns = (np.arange(-1, count + 1) for count in labels.shape)
    masks = [(organ, labels == value) for value, organ in enumerate(organs, start=1)]
    # The small ones last: the outline of an organ around another would cover the inner one's.
    for organ, mask in sorted(masks, key=lambda entry: -np.count_nonzero(entry[1])):
        colour = ORGAN_COLOURS.get(organ, OTHER_COLOUR)
        if not mask.any():
            continue
        if filled:
            fill[mask] = to_rgba(colour, 0.5)
        else:  # padded, so that the outline closes at the border of the image
            axes.contour(columns, rows, np.pad(mask, 1), [0.5], colors=[colour], linewidths=1.5)
    if filled:
        axes.imshow(fill, aspect="auto", interpolation="nearest")
    axes.set_xlim(-0.5, labels.shape[1] - 0.5)
    axes.set_ylim(labels.shape[0] - 0.5, -0.5)


def _letter(axes: Any, plane: str) -> None:
    """Marks the sides and names the plane, in letters that read on black and on white."""
    from matplotlib.patheffects import withStroke

    axes.set_axis_off()
    style = {
        "transform": axes.transAxes,
        "color": "white",
        "path_effects": [withStroke(linewidth=2.5, foreground="black")],
    }
    first, last = ("A", "P") if plane == "sagittal" else ("R", "L")
    axes.text(0.02, 0.5, first, fontsize=12, va="center", weight="bold", **style)
    axes.text(0.98, 0.5, last, fontsize=12, va="center", ha="right", weight="bold", **style)
    axes.text(0.02, 0.985, plane, fontsize=9, va="top", **style)


def _legend(figure: Any, present: Sequence[str], foot: tuple[float, float]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=ORGAN_COLOURS.get(organ, OTHER_COLOUR), label=organ.replace("_", " "))
        for organ in present
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="center",
            bbox_to_anchor=(0.5, 0.5 * foot[0] / foot[1]),
            ncols=min(len(handles), 6),
            frameon=False,
            fontsize=9,
        )
