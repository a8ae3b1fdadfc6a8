import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fedvox.report.figures.organ_names import organ_middle, write_names

ORGANS = ("liver", "spleen", "kidney_right", "kidney_left", "pancreas", "gallbladder")


def panel(rows: int = 100, columns: int = 120):
    """A panel that shows ``(rows, columns)`` from corner to corner, as an overlay's."""
    figure = Figure(figsize=(3.6, 3.0), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    return axes, np.zeros((rows, columns), np.uint8)


def texts(axes) -> dict[str, tuple[float, float]]:
    """Name -> column and row of its middle."""
    return {text.get_text(): text.get_position() for text in axes.texts}


def test_large_organ_is_named_inside_and_small_one_beside_itself_with_a_line():
    axes, labels = panel()
    labels[10:60, 20:80], labels[80:84, 90:94] = 1, 5
    assert write_names(axes, labels, ORGANS) == ["pancreas", "liver"]
    column, row = texts(axes)["liver"]
    assert labels[round(row), round(column)] == 1
    column, row = texts(axes)["pancr."]
    assert labels[round(row), round(column)] == 0
    lines = {text.get_text(): text.arrow_patch is not None for text in axes.texts}
    assert lines == {"liver": False, "pancr.": True}
    pancreas = next(text for text in axes.texts if text.get_text() == "pancr.")
    assert labels[round(pancreas.xy[1]), round(pancreas.xy[0])] == 5


def test_name_that_must_leave_its_large_organ_gets_a_line_too():
    axes, labels = panel()
    labels[42:58, 0:24] = 1  # where the letter R stands
    write_names(axes, labels, ORGANS)
    (name,) = axes.texts
    column, row = name.get_position()
    assert (labels[round(row), round(column)] == 1) == (name.arrow_patch is None)


def test_names_stay_in_the_panel_and_do_not_cover_each_other():
    axes, labels = panel()
    for value, (row, column) in enumerate([(0, 0), (97, 117), (50, 60), (50, 64), (54, 60)], 1):
        labels[row : row + 3, column : column + 3] = value
    assert set(write_names(axes, labels, ORGANS)) == set(ORGANS[:5])
    axes.figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines
    frame = axes.get_window_extent()
    for place, box in enumerate(boxes):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not [other for other in boxes[:place] if box.overlaps(other)]


def test_empty_slice_gets_no_name():
    axes, labels = panel()
    assert write_names(axes, labels, ORGANS) == [] and not axes.texts


def test_middle_lies_in_a_ring_and_not_in_its_hole():
    mask = np.ones((21, 21), bool)
    mask[6:15, 6:15] = False
    row, column, depth = organ_middle(mask)
    assert mask[row, column] and depth == pytest.approx(3, abs=1)
