import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage

from fedvox.errors import ConfigError, DataError
from fedvox.metrics import case
from fedvox.metrics.case import score_case, union_box

ORGANS = ("liver", "spleen")
SPACING = (2.0, 1.5, 3.0)


def box(*corner: int, size: int = 10, shape: tuple[int, ...] = (40, 30, 24)) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint8)
    labels[tuple(slice(start, start + size) for start in corner)] = 1
    return labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_box_shifted_by_two_voxels(axis):
    shifted = np.roll(box(5, 5, 5), 2, axis=axis)
    (score,) = score_case(shifted, box(5, 5, 5), ORGANS, {"liver"}, SPACING)
    assert score.organ == "liver"
    assert score.gt_voxels == 1000
    assert score.dice == pytest.approx(0.8)  # 8 of 10 layers shared
    # The leading face, 100 of 488 surface voxels, lies 2 voxels off: more than 5 percent.
    assert score.scores["hd95"] == pytest.approx(2 * SPACING[axis])


def test_nsd_counts_surface_voxels_within_the_tolerance():
    one_off = np.roll(box(5, 5, 5), 1, axis=0)
    inside, outside = (
        score_case(one_off, box(5, 5, 5), ORGANS, {"liver"}, SPACING, tolerance)[0].scores["nsd"]
        for tolerance in (2.0, 1.9)
    )
    assert inside == 1.0
    # Of 488 surface voxels of each box lie beyond 1.9 mm: one outer face (10 x 10), and of the
    # opposite face, now inside the other box, the 6 x 8 that are not 1.5 mm from a side face.
    assert outside == pytest.approx((488 - 148) / 488)


def test_equal_masks_score_perfectly_for_tensors_and_arrays():
    labels = box(3, 3, 3)
    for prediction in (labels, torch.from_numpy(labels).long()):
        (score,) = score_case(prediction, labels, ORGANS, {"liver"}, SPACING)
        assert (score.dice, score.scores["hd95"], score.scores["nsd"]) == (1.0, 0.0, 1.0)


def test_only_annotated_organs_are_scored_in_label_order():
    labels = box(3, 3, 3)
    assert [s.organ for s in score_case(labels, labels, ORGANS, {"spleen"}, SPACING)] == ["spleen"]
    both = score_case(labels, labels, ORGANS, ["spleen", "liver", "aorta"], SPACING)
    assert [s.organ for s in both] == ["liver", "spleen"]


def test_organ_absent_from_both_is_no_evidence():
    empty = np.zeros((8, 8, 8), dtype=np.int64)
    (score,) = score_case(empty, empty, ORGANS, {"liver"}, SPACING)
    assert all(math.isnan(value) for value in score.scores.values())
    assert score.gt_voxels == 0


def test_invented_organ_scores_zero_and_leaves_hd95_out():
    labels = box(3, 3, 3)
    (score,) = score_case(labels, np.zeros_like(labels), ORGANS, {"liver"}, SPACING)
    assert (score.dice, score.scores["nsd"], score.gt_voxels) == (0.0, 0.0, 0)
    assert math.isnan(score.scores["hd95"])


def test_missed_organ_costs_the_image_diagonal():
    labels = box(3, 3, 3)
    (score,) = score_case(np.zeros_like(labels), labels, ORGANS, {"liver"}, SPACING)
    assert (score.dice, score.scores["nsd"], score.gt_voxels) == (0.0, 0.0, 1000)
    assert score.scores["hd95"] == pytest.approx(math.hypot(80.0, 45.0, 72.0))


def test_cropping_changes_no_value(monkeypatch):
    draw = np.random.default_rng(0)
    whole = (slice(None), slice(None), slice(None))
    for corner in ((0, 0, 0), (9, 7, 5), (30, 20, 14)):  # at the near border, inside, at the far
        reference = box(*corner)
        prediction = np.roll(reference, draw.integers(-3, 4, size=3), axis=(0, 1, 2))
        prediction[draw.random(prediction.shape) < 0.001] = 1
        cropped = score_case(prediction, reference, ORGANS, {"liver"}, SPACING)
        with monkeypatch.context() as patch:
            patch.setattr(case, "union_box", lambda first, second, margin: whole)
            assert score_case(prediction, reference, ORGANS, {"liver"}, SPACING) == cropped


def test_union_box_holds_both_masks_and_stops_at_the_border():
    first, second = box(0, 5, 5, size=3) > 0, box(4, 6, 20, size=4) > 0
    assert union_box(first, second, 1) == (slice(0, 9), slice(4, 11), slice(4, 25))


def test_other_grid_is_refused():
    with pytest.raises(DataError, match="same grid"):
        score_case(np.zeros((4, 4, 4)), np.zeros((4, 4, 5)), ORGANS, {"liver"}, SPACING)


TUMOUR = ("tumour_necrotic", "tumour_oedema", "tumour_enhancing")


def test_regions_are_scored_after_their_parts_as_one_mask():
    reference = box(2, 2, 2, size=12)  # necrotic
    reference[6:10, 2:14, 2:14] = 2
    reference[10:14, 2:14, 2:14] = 3
    swapped = np.choose(reference, [0, 3, 2, 1])  # necrotic and enhancing mistaken for each other
    scores = score_case(swapped, reference, TUMOUR, set(TUMOUR), SPACING)
    assert {score.organ: score.dice for score in scores} == {
        "tumour_necrotic": 0.0,
        "tumour_oedema": 1.0,
        "tumour_enhancing": 0.0,
        "tumour_whole": 1.0,
        "tumour_core": 1.0,
    }
    assert [score.organ for score in scores[3:]] == ["tumour_whole", "tumour_core"]
    assert scores[3].gt_voxels == 12**3 and scores[4].gt_voxels == 8 * 12**2


def test_region_with_a_part_that_is_not_annotated_is_not_scored():
    labels = box(2, 2, 2)
    scores = score_case(labels, labels, TUMOUR, set(TUMOUR[:2]), SPACING)
    assert [score.organ for score in scores] == list(TUMOUR[:2])


def test_tumour_in_a_liver_that_is_annotated_as_a_whole_is_no_mistake():
    reference = box(2, 2, 2)
    prediction = reference.copy()
    prediction[4:6, 4:6, 4:6] = 2
    organs = ("liver", "liver_tumour")
    (whole,) = score_case(prediction, reference, organs, {"liver"}, SPACING)
    assert (whole.organ, whole.dice) == ("liver", 1.0)
    liver, tumour = score_case(prediction, reference, organs, set(organs), SPACING)
    assert liver.dice < 1.0 and tumour.dice == 0.0


def spur() -> tuple[np.ndarray, np.ndarray]:
    """A cube, and the same cube with a thin spur: one direction sees it, the other hardly."""
    reference = box(5, 5, 5, size=14)
    prediction = reference.copy()
    prediction[19:30, 10:14, 10:14] = 1
    return prediction, reference


def distances(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (first > 0, second > 0)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=SPACING) for edge in edges]
    return maps[1][edges[0]], maps[0][edges[1]]


def test_hd95_is_the_larger_directed_percentile_unless_the_other_convention_is_named():
    forth, back = distances(*spur())
    directed = max(np.percentile(forth, 95), np.percentile(back, 95))
    together = np.percentile(np.concatenate([forth, back]), 95)
    assert directed > together + 5  # the conventions differ by far here
    for options, expected in (
        ({}, directed),
        ({"hd95": "max_directed"}, directed),
        ({"hd95": "both_directions"}, together),
    ):
        (score,) = score_case(*spur(), ORGANS, {"liver"}, SPACING, **options)
        assert score.scores["hd95"] == pytest.approx(expected, rel=1e-5)


def test_hd95_is_that_of_monai():
    prediction, reference = (torch.from_numpy(mask)[None, None].float() for mask in spur())
    expected = compute_hausdorff_distance(prediction, reference, percentile=95, spacing=SPACING)
    (score,) = score_case(*spur(), ORGANS, {"liver"}, SPACING)
    assert score.scores["hd95"] == pytest.approx(float(expected), rel=1e-5)


def test_unknown_convention_of_hd95_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="choose one of: both_directions, max_directed"):
        score_case(*spur(), ORGANS, {"liver"}, SPACING, hd95="hausdorff")
