"""Draws docs/images/phantoms.png: one phantom per contrast (a test instrument, not evidence)."""

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from PIL import Image

from fedvox.phantoms.abdomen import BODY
from fedvox.phantoms.abdomen.tissue import ORGANS
from fedvox.phantoms.grid import oriented_grid
from fedvox.phantoms.scan import scan
from fedvox.phantoms.writer import PHANTOM_NOTE
from fedvox.report.figures.organ_names import write_names
from fedvox.report.figures.palette import ORGAN_COLOURS

TARGET = Path(__file__).parent / "images" / "phantoms.png"
SPACING_MM = 2.0
SIZE = 144
# One patient under every scanner, cut where all six organs show (mm from the middle).
PATIENT = 52
ROWS = (("ct", "CT"), ("mr_t1", "MRI, T1-like"), ("mr_t2", "MRI, T2-like"))
AXIAL_MM, CORONAL_MM = 6.0, 8.0
COLOURS = tuple(ORGAN_COLOURS[organ] for organ in ORGANS)


def main() -> None:
    """Writes the picture."""
    figure, axes = plt.subplots(3, 3, figsize=(8.4, 8.0), facecolor="white")
    figure.subplots_adjust(0.04, 0.08, 0.995, 0.96, wspace=0.03, hspace=0.03)
    grid = oriented_grid([SIZE] * 3, [SPACING_MM] * 3, [0.0] * 3, "RAS")
    for row, (contrast, title) in zip(axes, ROWS, strict=True):
        (image,), labels = scan(BODY, PATIENT, [contrast], grid)
        _draw_row(row, contrast, title, image, labels)
    for axis, title in zip(axes[0], ("axial", "coronal", "axial with labels"), strict=True):
        axis.set_title(title, fontsize=10)
    handles = [
        Patch(color=colour, label=organ.replace("_", ", "))
        for organ, colour in zip(ORGANS, COLOURS, strict=True)
    ]
    figure.legend(handles=handles, loc="lower center", ncols=6, fontsize=8, frameon=False)
    figure.text(0.5, 0.055, PHANTOM_NOTE, ha="center", fontsize=8, color="#555555")
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=80)
    # An octree keeps the six label colours; median cut would drop them for greys.
    with Image.open(TARGET) as picture:
        reduced = picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE)
    reduced.save(TARGET, optimize=True)


def _draw_row(
    row: npt.NDArray[np.object_],
    contrast: str,
    title: str,
    image: npt.NDArray[np.int16],
    labels: npt.NDArray[np.uint8],
) -> None:
    window = (-160.0, 280.0) if contrast == "ct" else (0.0, float(np.percentile(image, 99.3)))
    axial, coronal = _index(AXIAL_MM), _index(CORONAL_MM)
    _show(row[0], image[:, :, axial], window)
    _show(row[1], image[:, coronal, :], window)
    _show(row[2], image[:, :, axial], window)
    painted = np.ma.masked_equal(_as_seen(labels[:, :, axial]), 0)
    row[2].imshow(painted, cmap=ListedColormap(COLOURS), vmin=1, vmax=6, alpha=0.6)
    write_names(row[2], _as_seen(labels[:, :, axial]), ORGANS)
    row[0].text(-0.03, 0.5, title, rotation=90, va="center", ha="right", transform=row[0].transAxes)


def _index(position_mm: float) -> int:
    return round(position_mm / SPACING_MM + (SIZE - 1) / 2)


def _as_seen(plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    # The patient's right is on the left of the picture, as radiologists look at it.
    return plane[::-1, ::-1].T


def _show(axis: Axes, plane: npt.NDArray[np.int16], window: tuple[float, float]) -> None:
    axis.imshow(_as_seen(plane), cmap="gray", vmin=window[0], vmax=window[1])
    axis.axis("off")


if __name__ == "__main__":
    main()
