import io

import numpy as np
import pytest
from matplotlib.image import imread

from fedvox.data.check.case import CaseReport
from fedvox.data.check.intensities import BINS, Intensities
from fedvox.report.figures.site_data import draw_grids, draw_intensities, draw_volumes


def seen(peak: int) -> Intensities:
    shares = np.full(BINS, 0.002, np.float32)
    shares[peak] = 1 - shares.sum()
    return Intensities(shares, -5.0, 10.0)


def case(number: int, modality: str) -> CaseReport:
    return CaseReport(
        f"c{number}",
        ("train",),
        modality,
        shape=(100, 90 + number, 40),
        spacing=(1.0, 1.0, 2.5 + number),
        intensities={modality: seen(number)},
    )


CASES = [case(number, modality) for number in range(3) for modality in ("ct", "mr", "t1")]


def size(png: bytes) -> tuple[int, int]:
    return imread(io.BytesIO(png)).shape[:2]


def test_each_modality_has_a_panel():
    one, three = (draw_intensities(CASES[:count]) for count in (1, 3))
    assert size(three)[0] == pytest.approx(2 * size(one)[0], abs=2)
    assert size(three)[1] == size(one)[1] > 1000


def test_grids_are_drawn_with_and_without_a_job():
    plain, marked = draw_grids(CASES, None), draw_grids(CASES, (2.0, 2.0, 20.0))
    assert size(plain) == size(marked) and plain != marked


def test_volumes_have_a_row_per_organ():
    one = draw_volumes({"liver": [1000.0]})
    three = draw_volumes({"liver": [1000.0, 1400.0], "spleen": [0.5], "pancreas": [80.0]})
    assert size(three)[0] > size(one)[0]


def test_nothing_to_draw_is_no_figure():
    blind = [CaseReport("a", (), "mr")]
    assert draw_intensities(blind) is draw_grids(blind, None) is draw_volumes({}) is None
