"""Draws docs/images/brain.png: one phantom brain in each contrast, and its tumour."""

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from fedvox.phantoms.brain import BODY
from fedvox.phantoms.grid import oriented_grid
from fedvox.phantoms.scan import scan
from fedvox.phantoms.writer import PHANTOM_NOTE
from fedvox.report.figures.palette import ORGAN_COLOURS

TARGET = Path(__file__).parent / "images" / "brain.png"
PATIENT, SPACING_MM, SIZE = 7, 1.5, 132
TITLES = {"t1": "T1", "t1ce": "T1 with agent", "t2": "T2", "flair": "FLAIR"}
COLOURS = [ORGAN_COLOURS[organ] for organ in BODY.organs]


def main() -> None:
    """Writes the picture."""
    grid = oriented_grid([SIZE] * 3, [SPACING_MM] * 3, [0.0] * 3, "RAS")
    images, labels = scan(BODY, PATIENT, list(TITLES), grid)
    height = int((labels == 1).sum(axis=(0, 1)).argmax())
    figure, axes = plt.subplots(1, 5, figsize=(9.6, 2.5), facecolor="white")
    figure.subplots_adjust(0.005, 0.1, 0.995, 0.9, wspace=0.03)
    planes = [_as_seen(image[:, :, height]) for image in images]
    for axis, title, plane in zip(axes, TITLES.values(), planes, strict=False):
        axis.imshow(plane, cmap="gray", vmax=float(np.percentile(plane[plane > 0], 99.5)))
        axis.set_title(title, fontsize=9)
    axes[4].imshow(planes[3], cmap="gray")
    painted = np.ma.masked_equal(_as_seen(labels[:, :, height]), 0)
    axes[4].imshow(painted, cmap=ListedColormap(COLOURS), vmin=1, vmax=3, interpolation="nearest")
    for axis in axes:
        axis.axis("off")
    handles = [
        Patch(color=colour, label=organ.removeprefix("tumour_"))
        for organ, colour in zip(BODY.organs, COLOURS, strict=True)
    ]
    figure.legend(handles=handles, loc="lower right", ncols=3, fontsize=7, frameon=False)
    figure.text(0.01, 0.03, PHANTOM_NOTE, fontsize=7, color="#555555")
    figure.savefig(TARGET, dpi=80)


def _as_seen(plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    # The patient's right is on the left of the picture, as radiologists look at it.
    return plane[::-1, ::-1].T[:, 10:-10]


if __name__ == "__main__":
    main()
