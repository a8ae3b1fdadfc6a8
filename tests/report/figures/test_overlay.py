import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fedvox.data.organs import CANONICAL
from fedvox.errors import DataError
from fedvox.report.figures.overlay import (
    ORGAN_COLOURS,
    display_window,
    draw_overlay,
    fullest_slice,
    radiological_slice,
)

SHAPE = (40, 30, 20)
SPACING = (1.0, 1.0, 2.0)
ORGANS = ("liver", "aorta")


def blob(x: int, y: int, z: int, value: int = 1) -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.int64)
    labels[x - 3 : x + 3, y - 3 : y + 3, z - 3 : z + 3] = value
    return labels


def draw(tmp_path, prediction, reference=None, spacing=SPACING, organs=ORGANS) -> np.ndarray:
    path = tmp_path / "overlay_1.png"
    # A dark image, so that a translucent fill keeps the hue of its organ.
    draw_overlay(np.zeros(SHAPE), prediction, reference, organs, spacing, path, "phantom case")
    return matplotlib.image.imread(path)[..., :3]


def panels(pixels: np.ndarray) -> list[tuple[slice, slice]]:
    """Boxes of the three black panels, from left to right; the letters R and L are white."""
    middle = pixels.shape[0] // 2
    dark = (pixels[middle - 40 : middle + 40] < 0.9).any(-1).mean(0) > 0.6
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dark.astype(int), [0]])))
    boxes = []
    for left, right in zip(edges[::2], edges[1::2]):
        column = (pixels[:, left:right] < 0.9).any(-1).mean(1) > 0.6
        rows = np.flatnonzero(column)
        boxes.append((slice(rows[0], rows[-1] + 1), slice(left, right)))
    return boxes


def centre(pixels: np.ndarray, box: tuple[slice, slice], organ: str) -> tuple[float, float]:
    """Row and column of an organ's fill inside a panel, both from 0 to 1."""
    half = 0.5 * np.array(to_rgb(ORGAN_COLOURS[organ]))  # translucent over black
    rows, columns = np.nonzero(abs(pixels[box] - half).max(-1) < 0.04)
    height, width = pixels[box].shape[:2]
    return rows.mean() / height, columns.mean() / width


@pytest.mark.parametrize("right", [True, False])
def test_patients_right_is_on_the_left_of_the_picture(tmp_path, right):
    pixels = draw(tmp_path, blob(32 if right else 8, 15, 10))  # RAS: large x is the patient's right
    axial, coronal, _ = panels(pixels)
    for box in (axial, coronal):
        assert (centre(pixels, box, "liver")[1] < 0.5) == right


def test_anterior_and_head_are_up_and_anterior_is_left_in_the_sagittal_slice(tmp_path):
    pixels = draw(tmp_path, blob(20, 25, 16))
    axial, coronal, sagittal = panels(pixels)
    assert centre(pixels, axial, "liver")[0] < 0.3
    assert centre(pixels, coronal, "liver")[0] < 0.3
    assert centre(pixels, sagittal, "liver")[0] < 0.3
    assert centre(pixels, sagittal, "liver")[1] < 0.3


def test_panels_share_one_scale_in_millimetres(tmp_path):
    spacing = (1.0, 2.0, 3.0)  # 40 x 60 x 60 mm
    sizes = [
        (rows.stop - rows.start, columns.stop - columns.start)
        for rows, columns in panels(draw(tmp_path, blob(20, 15, 10), spacing=spacing))
    ]
    scale = sizes[0][1] / 40
    expected = [(60, 40), (60, 40), (60, 60)]
    assert np.allclose(np.array(sizes) / scale, expected, atol=1.0)  # edges fall between pixels


def test_each_organ_keeps_its_colour_whatever_its_label(tmp_path):
    assert set(ORGAN_COLOURS) == set(CANONICAL)
    assert len(set(ORGAN_COLOURS.values())) == len(CANONICAL)
    for organs, value in ((("liver", "aorta"), 2), (("aorta", "liver"), 1)):
        pixels = draw(tmp_path, blob(20, 15, 10, value), organs=organs)
        row, column = centre(pixels, panels(pixels)[0], "aorta")
        assert (row, column) == pytest.approx((0.5, 0.5), abs=0.03)


def test_reference_is_outlined_not_filled(tmp_path):
    pixels = draw(tmp_path, blob(30, 15, 10), blob(10, 15, 10))
    axial = pixels[panels(pixels)[0]]
    colour = np.array(to_rgb(ORGAN_COLOURS["liver"]))
    height, width = axial.shape[:2]
    centre_of_reference = axial[height // 2, round(0.75 * width)]
    assert centre_of_reference.max() < 0.05
    assert (abs(axial[:, width // 2 :] - colour).max(-1) < 0.1).sum() > 40


def test_empty_prediction_and_missing_reference_draw(tmp_path):
    empty = np.zeros(SHAPE, dtype=np.int64)
    assert len(panels(draw(tmp_path, empty))) == 3
    assert len(panels(draw(tmp_path, empty, blob(20, 15, 10)))) == 3


def test_slices_are_turned_by_axis():
    x, y, z = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    axial = radiological_slice(100 * x + y, 2, 0)
    assert axial.shape == (30, 40)
    assert (axial[0, 0], axial[-1, -1]) == (3929, 0)
    coronal = radiological_slice(100 * x + z, 1, 0)
    assert (coronal[0, 0], coronal[-1, -1]) == (3919, 0)
    sagittal = radiological_slice(100 * y + z, 0, 0)
    assert (sagittal[0, 0], sagittal[-1, -1]) == (2919, 0)


def test_small_organ_is_not_outvoted_by_a_large_one():
    labels = np.zeros(SHAPE, dtype=np.int64)
    labels[:, :, 2:12] = 1
    labels[20:23, 10:13, 11] = 2
    assert fullest_slice(labels, 2, axis=2) == 11
    assert fullest_slice(np.zeros(SHAPE), 2, axis=2) == 10


def test_window_lies_around_the_organs_and_ignores_metal():
    image = np.full(SHAPE, -1000.0)
    image[10:30, 5:25] = np.linspace(0, 100, 20)[:, None, None]
    image[0, 0, 0] = 30000.0
    low, high = display_window(image, image > -1000)
    assert -200 < low < 0
    assert 95 < high < 300
    assert display_window(np.full(SHAPE, np.nan), image > 0) == (0.0, 1.0)
    flat_low, flat_high = display_window(np.zeros(SHAPE), np.zeros(SHAPE, dtype=bool))
    assert flat_low < flat_high


def test_other_grid_is_refused(tmp_path):
    with pytest.raises(DataError, match="one grid"):
        draw(tmp_path, np.zeros((3, 3, 3)))
