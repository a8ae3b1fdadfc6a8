import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.organs import IGNORED
from fedvox.data.quality.labels import label_quality

GRID = np.indices((32, 32, 32)) - 16
NOISE = np.random.default_rng(0).normal(size=(1, 32, 32, 32))


def ball(centre, radius) -> np.ndarray:
    return sum((GRID[axis] - centre[axis]) ** 2 for axis in range(3)) < radius**2


BODY = (GRID**2).sum(axis=0) < 15**2
LABEL = np.where(ball((-5, 0, 0), 5), 1, np.where(ball((6, 2, 0), 4), 2, 0)).astype(np.uint8)
IMAGE = (0.3 * BODY + 0.2 * (LABEL == 1) + 0.4 * (LABEL == 2))[None] + 0.05 * NOISE


def test_a_label_on_its_organs_is_worth_1():
    assert label_quality(IMAGE, LABEL, 2) == 1.0


@pytest.mark.parametrize("move", [(0, 5, 0), (0, 0, -6), (4, 4, 4)])
def test_a_label_beside_its_organs_is_worth_nothing(move):
    assert label_quality(IMAGE, np.roll(LABEL, move, (0, 1, 2)), 2) < 0.2


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3), moved=st.integers(0, 4))
def test_gain_and_offset_change_nothing(gain, offset, moved):
    label = np.roll(LABEL, moved, 0)
    told = label_quality(gain * IMAGE + offset, label, 2)
    assert told == pytest.approx(label_quality(IMAGE, label, 2), abs=1e-6)


def test_one_channel_that_shows_the_organ_is_enough():
    blind = np.random.default_rng(1).normal(size=(2, 32, 32, 32))
    assert label_quality(np.concatenate([IMAGE, blind]), LABEL, 2) > 0.5
    assert label_quality(np.concatenate([IMAGE, np.zeros((1, 32, 32, 32))]), LABEL, 2) == 1.0


def test_nothing_is_said_without_voxels_enough_or_of_an_image_without_contrast():
    assert label_quality(IMAGE, np.zeros_like(LABEL), 2) is None
    few = np.zeros_like(LABEL)
    few[3:5, 3:5, 3:5] = 1
    assert label_quality(IMAGE, few, 2) is None
    assert label_quality(np.ones_like(IMAGE), LABEL, 2) is None
    assert label_quality(IMAGE, np.full_like(LABEL, 1), 2) is None


def test_an_organ_at_the_edge_of_the_image_is_judged_by_the_copies_that_lie_in_it():
    # The cut begins within the first organ.
    assert label_quality(IMAGE[:, 11:], LABEL[11:], 2) == 1.0


def test_what_nobody_annotated_is_neither_border_nor_within():
    label = LABEL.copy()
    label[(GRID[1] > 2) & (LABEL == 0)] = IGNORED
    assert label_quality(IMAGE, label, 2) == 1.0
    alone = np.where(LABEL == 1, 1, IGNORED).astype(np.uint8)
    assert label_quality(IMAGE, alone, 2) is None
