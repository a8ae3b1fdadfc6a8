"""A small axial slice of a case, for the page that stays at the site."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from fedvox.data.images.nifti import Volume

PIXELS = 176
CT_WINDOW = (-160.0, 240.0)


@dataclass(frozen=True)
class Thumbnail:
    """A slice with square pixels, first axis to the right, second to anterior.

    Attributes:
        grey: ``(X, Y)`` uint8, windowed intensities.
        organs: ``(X, Y)`` uint8, organ i of ``CANONICAL`` has the value i + 1.
    """

    grey: np.ndarray
    organs: np.ndarray


def thumbnail(image: Volume, organs: np.ndarray | None, modality: str) -> Thumbnail:
    """Cuts the axial slice that shows most of the label, the middle one without a label.

    Args:
        image: the image.
        organs: map of organs on its grid, from :func:`fedvox.data.check.organs.read_organs`.
        modality: ``ct``, or any other for MRI.
    """
    axes = nib.io_orientation(image.affine)
    volume = nib.apply_orientation(image.data, axes)
    spacing = [0.0] * 3
    for stored, (ras, _) in enumerate(axes):
        spacing[int(ras)] = image.spacing[stored]
    labels = nib.apply_orientation(
        np.zeros(image.data.shape, np.uint8) if organs is None else organs, axes
    )
    areas = [int(np.count_nonzero(labels[:, :, index])) for index in range(labels.shape[2])]
    index = int(np.argmax(areas)) if any(areas) else len(areas) // 2
    places = _places(volume.shape[:2], spacing)
    grey = _windowed(volume[:, :, index][places], modality)
    return Thumbnail(grey, np.ascontiguousarray(labels[:, :, index][places]))


def _places(shape: tuple[int, ...], spacing: list[float]) -> tuple[np.ndarray, ...]:
    """Which voxels the pixels show: the nearest, at one size in mm along both axes."""
    extent = [length * size for length, size in zip(shape, spacing)]
    counts = [max(1, round(PIXELS * side / max(extent))) for side in extent]
    along = [
        ((np.arange(count) + 0.5) * length / count).astype(int)
        for count, length in zip(counts, shape)
    ]
    return np.ix_(*along)


def _windowed(plane: np.ndarray, modality: str) -> np.ndarray:
    low, high = CT_WINDOW if modality == "ct" else np.percentile(plane, (1, 99.5))
    scaled = (plane.astype(np.float32) - low) / max(high - low, 1e-6)
    return (scaled.clip(0, 1) * 255).astype(np.uint8)
