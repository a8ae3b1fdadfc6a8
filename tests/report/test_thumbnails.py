import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from fedvox.data.check.case import CaseReport
from fedvox.data.check.thumbnail import Thumbnail
from fedvox.data.organs import CANONICAL
from fedvox.finding import WARN, Finding
from fedvox.report.overlay import ORGAN_COLOURS
from fedvox.report.thumbnails import SCALE, gallery, outlined

SPLEEN = CANONICAL.index("spleen") + 1


@pytest.fixture
def small() -> Thumbnail:
    """Bright on the patient's right half; a spleen on the left, towards the back."""
    grey = np.zeros((40, 30), np.uint8)
    grey[20:] = 200
    organs = np.zeros((40, 30), np.uint8)
    organs[4:12, 3:9] = SPLEEN
    return Thumbnail(grey, organs)


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


def test_cases_with_findings_stand_first_in_a_frame(small):
    problem = Finding("placement", WARN, "odd", "look")
    sound = CaseReport("aaaa0001", ("train",), "mr", thumbnail=small, organs_ml={"spleen": 1.0})
    odd = CaseReport("bbbb0002", ("test",), "mr", (problem,), thumbnail=small)
    blind = CaseReport("cccc0003", ("test",), "mr")
    markup = gallery((sound, odd, blind))
    assert markup.index("bbbb0002") < markup.index("aaaa0001") and "cccc0003" not in markup
    assert markup.count("class=odd") == 1 and "<strong>placement</strong>" in markup
    assert ORGAN_COLOURS["spleen"] in markup and ORGAN_COLOURS["liver"] not in markup


def test_no_thumbnail_is_no_gallery():
    assert gallery((CaseReport("a", (), "mr"),)) == ""


def test_organs_carry_the_numbers_of_the_legend_in_their_middle(small):
    small.organs[20:30, 20:28] = CANONICAL.index("liver") + 1
    case = CaseReport("a", (), "mr", thumbnail=small, organs_ml={"liver": 9.0, "spleen": 1.0})
    markup = gallery((case,))
    marks = re.findall(r'class="mark" style="left:([\d.]+)%;top:([\d.]+)%">(\d)<', markup)
    assert [number for *_, number in marks] == ["1", "2"]
    left, top = (float(value) for value in marks[1][:2])  # the spleen, from 28 to 36 of 40 columns
    assert 70 < left < 90 and 70 < top < 90
    assert "1 liver</span>" in markup and "2 spleen</span>" in markup
