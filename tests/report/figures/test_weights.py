import io
import itertools
import math

import matplotlib.image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.report.figures.weights import draw_weights, share_curves, spread


def record(number: int, **shares: float) -> dict:
    contributors = [{"site": site, "weight": share} for site, share in shares.items()]
    return {"round": number, "contributors": contributors}


def test_curves_hold_the_rounds_from_one_in_which_a_site_took_part():
    rounds = [record(0, b=0.5, a=0.5), record(2, a=1.0), record(3, b=math.nan), {"round": 4}]
    assert share_curves(rounds) == {"a": {1: 0.5, 3: 1.0}, "b": {1: 0.5}}


@pytest.mark.parametrize("sites", [0, 1, 4, 40])
def test_any_number_of_sites_gives_a_picture(sites):
    curves = {f"hospital-{k}": {1: 1 / sites, 3: 1 / sites} for k in range(sites)}
    pixels = matplotlib.image.imread(io.BytesIO(draw_weights(curves)))
    assert pixels.shape[1] > 2 * pixels.shape[0] and pixels[..., :3].min() < 0.5


@given(st.lists(st.floats(0, 1), max_size=14).map(sorted))
def test_labels_lie_a_gap_apart_and_not_above_the_top(values):
    places = spread(values, 0.06, 1.1)
    assert all(later - place >= 0.06 - 1e-9 for place, later in itertools.pairwise(places))
    assert all(place <= 1.1 + 1e-9 for place in places)
    if values and all(b - a >= 0.06 for a, b in itertools.pairwise(values)):
        assert places == pytest.approx(values)
