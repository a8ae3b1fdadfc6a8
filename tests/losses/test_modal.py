"""Terms that compare a case's modalities: closed forms, and what gets no gradient."""

import math

import pytest
import torch

from fedvox.data.organs import IGNORED
from fedvox.losses.modal import (
    answer_divergence,
    class_shares,
    feature_distance,
    identity_loss,
    prototype_distance,
    shared_distance,
)
from fedvox.losses.target import Target

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def flags(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)[..., None, None, None]


def target(label: torch.Tensor, *annotated: list[int], ignores: bool = False) -> Target:
    return Target(label, torch.tensor(annotated, dtype=torch.bool), (), ignores)


def test_divergence_is_that_of_pytorch_and_nought_for_equal_answers():
    own, whole = draw(2, 3, 2, 2, 2), draw(2, 3, 2, 2, 2, seed=1)
    p, q = whole.softmax(1), own.softmax(1)
    expected = (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(answer_divergence(own, whole), expected, **CLOSE)
    assert float(answer_divergence(own, own + 7).abs()) < 1e-6


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_divergence_is_finite_for_huge_logits(scale):
    own = (scale * draw(1, 3, 2, 2, 2)).requires_grad_()
    answer_divergence(own, scale * draw(1, 3, 2, 2, 2, seed=1)).backward()
    assert torch.isfinite(own.grad).all()


@pytest.mark.parametrize("term", [answer_divergence, feature_distance])
def test_the_whole_input_s_answer_gets_no_gradient(term):
    own, whole = draw(1, 3, 2, 2, 2).requires_grad_(), draw(1, 3, 2, 2, 2, seed=1).requires_grad_()
    term(own, whole).backward()
    assert own.grad.any() and whole.grad is None


def test_feature_distance_is_the_angle_s_whatever_the_lengths():
    one = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    for other, expected in (([0.0, 3.0], 1), ([5.0, 0.0], 0), ([-2.0, 0.0], 2), ([0.0, 0.0], 1)):
        found = feature_distance(torch.tensor(other).view(1, 2, 1, 1, 1), one)
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_shared_distance_by_hand_over_samples_of_several_modalities():
    shared = torch.tensor([[1.0, 3.0, 100.0], [5.0, 70.0, 80.0], [2.0, 5.0, 8.0]])
    shared = shared.repeat_interleave(2, 1)[..., None, None, None]  # three channels of F = 2
    present = flags([1, 1, 0], [1, 0, 0], [1, 1, 1])
    # (|1 - 2| + |3 - 2|) / 2 = 1; alone: none; (3 + 0 + 3) / 3 = 2
    assert float(shared_distance(shared, present)) == pytest.approx((1 + 2) / 2)
    assert float(shared_distance(shared, flags([1, 0, 0], [0, 1, 0], [0, 0, 0]))) == 0


def test_shared_distance_teaches_only_what_is_present():
    shared = draw(1, 6, 2, 2, 2).requires_grad_()
    shared_distance(shared, flags([1, 0, 1])).backward()
    assert shared.grad[:, [0, 1, 4, 5]].all() and not shared.grad[:, 2:4].any()


def one_organ(annotated: int = 1) -> Target:
    """Organ 1 in the first half of 2³ voxels, which are 1 x 1 x 2 for the coarser grid."""
    label = torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    label[:, :, :, 0] = 1
    return target(label, [annotated])


def test_prototype_distance_by_hand():
    middle = torch.tensor([[[2.0, 4.0], [0.0, 1.0]]]).view(1, 2, 1, 1, 2)  # F = 2 at two voxels
    anchors = torch.tensor([[1.0, 1.0], [5.0, 0.0]]).view(1, 2, 2, 1, 1)
    # background lies at the second voxel (4, 1): (3 + 0) / 2; the organ at (2, 0): (3 + 0) / 2
    found = prototype_distance(middle, anchors, flags([1, 0]), one_organ())
    assert float(found) == pytest.approx(1.5)
    anchors[:, 0] = 0  # nobody knows the background
    anchors[:, 1, :, 0, 0] = torch.tensor([5.0, 1.0])
    found = prototype_distance(middle, anchors, flags([1, 0]), one_organ())
    assert float(found) == pytest.approx((3 + 1) / 2)


@pytest.mark.parametrize(
    ("present", "annotated", "known"),
    [([1, 1], 1, 1.0), ([0, 0], 1, 1.0), ([1, 0], 0, 1.0), ([1, 0], 1, 0.0)],
    ids=["several modalities", "none", "not annotated", "nobody knows"],
)
def test_prototype_distance_of_what_cannot_be_compared_is_nought(present, annotated, known):
    middle = draw(1, 2, 1, 1, 2).requires_grad_()
    anchors = torch.full((1, 2, 2, 1, 1), known)
    found = prototype_distance(middle, anchors, flags(present), one_organ(annotated))
    found.backward()
    assert float(found.detach()) == 0 and not middle.grad.any()


def test_prototypes_get_no_gradient():
    anchors = draw(1, 2, 2, 1, 1).requires_grad_()
    middle = draw(1, 2, 1, 1, 2, seed=1).requires_grad_()
    prototype_distance(middle, anchors, flags([1, 0]), one_organ()).backward()
    assert middle.grad.any() and anchors.grad is None


def test_class_shares_are_parts_of_coarse_voxels():
    label = torch.zeros(1, 2, 2, 4, dtype=torch.uint8)
    label[0, 0, 0, 0] = 1
    label[0, :, :, 2:] = 2
    found = class_shares(target(label, [1, 1]), 3, (1, 1, 2))
    assert found.flatten(1).tolist() == [[7 / 8, 0, 1 / 8, 0, 0, 1]]


def test_class_shares_say_nothing_of_what_was_not_annotated():
    label = torch.tensor([0, 1, 2, IGNORED]).view(1, 1, 1, 4).expand(2, 1, 1, 4)
    found = class_shares(target(label, [1, 0], [1, 1], ignores=True), 3, (1, 1, 1)).flatten(1)
    assert found.tolist() == [[0, 0.25, 0], [0.25, 0.25, 0.25]]


def test_identity_is_the_mean_over_the_features_that_there_are():
    told = torch.zeros(2, 3, 4)
    told[0, 0] = torch.tensor([math.log(2), 0.0, 0.0, 1.0])  # right with 2/4
    told[1, 2] = torch.tensor([0.0, 0.0, 0.0, 1.0])  # right with 1/3
    told[1, 1] = torch.tensor([99.0, 0.0, 0.0, 0.0])  # wrong, but there is no such feature
    found = identity_loss(told[..., None, None])
    assert float(found) == pytest.approx((math.log(2) + math.log(3)) / 2)
    assert float(identity_loss(torch.zeros(2, 3, 4, 1, 1))) == 0
