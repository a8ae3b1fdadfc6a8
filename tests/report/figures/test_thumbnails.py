import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from fedvox.report.figures.palette import ORGAN_COLOURS
from fedvox.report.figures.thumbnails import SCALE, outlined


def test_patients_right_is_on_the_left_and_the_back_is_below(small):
    picture = imread(io.BytesIO(outlined(small)))[..., :3]
    assert picture.shape == (30 * SCALE, 40 * SCALE, 3)
    assert picture[2, 2].tolist() == pytest.approx([200 / 255] * 3, abs=0.01)
    assert picture[2, -2].tolist() == [0, 0, 0]
    colour = np.abs(picture - to_rgb(ORGAN_COLOURS["spleen"])).max(axis=-1) < 0.01
    rows, columns = (np.nonzero(colour)[axis] // SCALE for axis in (0, 1))
    assert (columns.min(), columns.max()) == (40 - 12, 40 - 5)
    assert (rows.min(), rows.max()) == (30 - 9, 30 - 4)


def test_outline_leaves_the_inside_of_an_organ_visible(small):
    picture = imread(io.BytesIO(outlined(small)))[..., :3]
    inside = picture[(30 - 6) * SCALE, (40 - 8) * SCALE]
    assert inside.tolist() == [0, 0, 0]
