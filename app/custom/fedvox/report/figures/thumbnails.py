"""Thumbnails of cases with the outlines of their labels."""

import io

import numpy as np

from fedvox.data.check.thumbnail import Thumbnail
from fedvox.data.organs import CANONICAL
from fedvox.report.figures.overlay import radiological_slice
from fedvox.report.figures.palette import ORGAN_COLOURS

SCALE = 2


def outlined(thumbnail: Thumbnail) -> bytes:
    """The slice as a PNG, the patient's right on the left, organs outlined in their colours."""
    from matplotlib.image import imsave

    grey, organs = (
        radiological_slice(plane[:, :, None], 2, 0) for plane in (thumbnail.grey, thumbnail.organs)
    )
    picture = np.stack([grey] * 3, axis=-1)
    edge = _edge(organs)
    picture[edge] = _palette()[organs[edge]]
    picture = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    content = io.BytesIO()
    imsave(content, picture, format="png")
    return content.getvalue()


def _edge(organs: np.ndarray) -> np.ndarray:
    """Labelled pixels with a neighbour of another value, ``(rows, columns)`` booleans."""
    height, width = organs.shape
    padded = np.pad(organs, 1)
    inner = np.ones(organs.shape, bool)
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inner &= padded[row : row + height, column : column + width] == organs
    return (organs > 0) & ~inner


def _palette() -> np.ndarray:
    """RGB of each value of the map, ``(values, 3)`` uint8."""
    colours = ["#000000", *(ORGAN_COLOURS[organ] for organ in CANONICAL)]
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8)
