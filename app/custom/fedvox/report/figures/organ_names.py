"""Names of organs on a picture, so that no one has to tell them by colour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedvox.metrics.text_table import short_name

_SIZE = 7.5  # points
_WIDE, _HIGH = 0.62, 1.25
"""Width of a letter and height of a line over the size of the type."""
_RINGS = 8
"""How many lines away from its organ a name may stand."""


@dataclass(frozen=True)
class _Box:
    """A rectangle in pixels of the panel, from its top left corner."""

    left: float
    top: float
    width: float
    height: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


def write_names(axes: Any, labels: np.ndarray, organs: Sequence[str]) -> list[str]:
    """Writes each organ's short name into it, or beside it with a line where it is too small.

    Args:
        axes: a panel of Matplotlib that shows ``labels`` from corner to corner.
        labels: label map of the slice, shape ``(rows, columns)``, row 0 at the top.
        organs: canonical names in label order.

    Returns:
        The organs that were named. One that finds no free place in a crowd is left to the legend.
    """
    from matplotlib.patheffects import withStroke

    width, height = axes.bbox.width, axes.bbox.height
    scale = np.array([height / labels.shape[0], width / labels.shape[1]])
    letter = _SIZE * axes.figure.dpi / 72
    taken = _margins(width, height, letter)
    named = []
    for value in _small_first(labels, len(organs)):
        name = short_name(organs[value - 1])
        row, column, radius = organ_middle(labels == value)
        point = (np.array([row, column]) + 0.5) * scale
        size = (_WIDE * letter * len(name), _HIGH * letter)
        inside = radius * scale.min() > 0.5 * float(np.hypot(*size))
        place = _free_place(point, radius * scale.min(), size, inside, taken, (width, height))
        if place is None:
            continue
        taken.append(place)
        centre = np.array([place.top + size[1] / 2, place.left + size[0] / 2]) / scale - 0.5
        at = np.clip(np.rint(centre).astype(int), 0, np.array(labels.shape) - 1)
        line = {"arrowstyle": "-", "color": "white", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate(
            name,
            (column, row),
            (centre[1], centre[0]),
            fontsize=_SIZE,
            color="white",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2, foreground="black")],
            arrowprops=None if labels[at[0], at[1]] == value else line,
        )
        named.append(organs[value - 1])
    return named


def _small_first(labels: np.ndarray, organs: int) -> list[int]:
    areas = np.bincount(labels.astype(np.int64).ravel(), minlength=organs + 1)
    present = [value for value in range(1, organs + 1) if areas[value]]
    return sorted(present, key=lambda value: (int(areas[value]), value))


def organ_middle(mask: np.ndarray) -> tuple[int, int, float]:
    """The pixel furthest from the organ's edge, and how far it is, in pixels.

    Args:
        mask: booleans, shape ``(rows, columns)``, not empty.

    Returns:
        Row, column and the distance to the nearest pixel outside.
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(row), int(column), float(depth[row, column])


def _margins(width: float, height: float, letter: float) -> list[_Box]:
    """Where the letters of the sides and the name of the plane stand."""
    side = 2.6 * letter
    return [
        _Box(0, height / 2 - letter, side, 2 * letter),
        _Box(width - side, height / 2 - letter, side, 2 * letter),
        _Box(0, 0, 7 * letter, 2 * letter),
    ]


def _free_place(
    point: np.ndarray,
    radius: float,
    size: tuple[float, float],
    inside: bool,
    taken: Sequence[_Box],
    panel: tuple[float, float],
) -> _Box | None:
    for row, column in _offsets(radius, size, inside):
        left, top = point[1] + column - size[0] / 2, point[0] + row - size[1] / 2
        box = _Box(float(left), float(top), *size)
        fits = 0 <= left <= panel[0] - size[0] and 0 <= top <= panel[1] - size[1]
        if fits and not any(box.meets(other) for other in taken):
            return box
    return None


def _offsets(
    radius: float, size: tuple[float, float], inside: bool
) -> Iterator[tuple[float, float]]:
    """Steps from the organ's middle in pixels, down and right, the nearest first."""
    if inside:
        half = radius / 2
        yield from ((0.0, 0.0), (half, 0.0), (-half, 0.0), (0.0, half), (0.0, -half))
    for ring in range(_RINGS):
        down = radius + size[1] * (0.7 + ring)
        aside = radius + size[0] * 0.6 + size[1] * ring
        yield from ((-down, 0.0), (down, 0.0), (0.0, aside), (0.0, -aside))
        yield from ((-down, aside), (down, aside), (-down, -aside), (down, -aside))
