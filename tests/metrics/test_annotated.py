import math

import numpy as np
import pytest

from fedvox.data.organs import IGNORED
from fedvox.metrics.annotated import score_annotated
from fedvox.metrics.case import score_case

SPACING = (1.0, 1.0, 1.0)


def score(prediction, reference):
    (found,) = score_annotated(prediction, reference, ["liver"], {"liver"}, SPACING, 1.0)
    return found


@pytest.fixture
def liver():
    label = np.zeros((16, 12, 12), np.uint8)
    label[4:8, 4:8, 4:8] = 1
    return label


def test_a_prediction_where_nobody_annotated_is_neither_right_nor_wrong(liver):
    reference, prediction = liver.copy(), liver.copy()
    reference[12:] = IGNORED
    prediction[12:] = 1
    found = score(prediction, reference)
    assert (found.dice, found.scores["hd95"], found.scores["nsd"]) == (1.0, 0.0, 1.0)
    assert found.gt_voxels == 64


def test_scores_far_from_such_voxels_are_those_of_the_rest(liver):
    reference, prediction = liver.copy(), np.roll(liver, 1, axis=1)
    expected = score_case(prediction, reference, ["liver"], {"liver"}, SPACING, 1.0)
    reference[12:] = IGNORED
    assert [score(prediction, reference)] == expected


def test_a_surface_that_is_cut_by_them_is_not_measured(liver):
    reference = liver.copy()
    reference[6:] = IGNORED
    found = score(liver, reference)
    assert (found.dice, found.gt_voxels) == (1.0, 32)
    assert math.isnan(found.scores["hd95"]) and math.isnan(found.scores["nsd"])


def test_an_organ_that_was_missed_keeps_its_penalties(liver):
    reference = liver.copy()
    reference[6:] = IGNORED
    found = score(np.zeros_like(liver), reference)
    assert (found.dice, found.scores["nsd"]) == (0.0, 0.0)
    assert found.scores["hd95"] == pytest.approx(math.dist((0, 0, 0), liver.shape))


def test_a_case_of_which_nothing_is_annotated_is_no_evidence(liver):
    assert math.isnan(score(liver, np.full_like(liver, IGNORED)).dice)
