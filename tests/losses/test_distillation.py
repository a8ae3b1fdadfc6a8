import pytest
import torch

from fedvox.data.organs import IGNORED
from fedvox.losses.distillation import conditional_divergence
from fedvox.losses.target import Target

SHAPE = (2, 3, 4)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
TUMOUR_IN_LIVER = ((1, 0),)  # organs: liver, its tumour, spleen


def draw(batch: int, classes: int, seed: int) -> torch.Tensor:
    return torch.randn(batch, classes, *SHAPE, generator=torch.Generator().manual_seed(seed))


def annotations(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def held(
    own: torch.Tensor,
    received: torch.Tensor,
    label: torch.Tensor,
    annotated: torch.Tensor,
    parents: tuple[tuple[int, int], ...] = (),
) -> torch.Tensor:
    return conditional_divergence(own, received, Target(label, annotated, parents))


def conditional(logits: torch.Tensor, classes: list[int]) -> torch.Tensor:
    p = torch.softmax(logits, 1)[:, classes]
    return p / p.sum(1, keepdim=True)


def test_it_is_the_divergence_of_conditional_probabilities_over_background():
    own, received = draw(1, 4, 0), draw(1, 4, 1)
    label = torch.zeros(1, *SHAPE, dtype=torch.long)
    label[:, 0] = 1
    p, q = conditional(received, [0, 2, 3]), conditional(own, [0, 2, 3])
    expected = (p * (p / q).log()).sum(1)[:, 1:].mean()
    found = held(own, received, label, annotations([1, 0, 0]))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_voxels_that_nobody_annotated_are_not_held_to_the_received_model():
    own, received = draw(1, 4, 0).requires_grad_(), draw(1, 4, 1)
    label = torch.zeros(1, *SHAPE, dtype=torch.uint8)
    label[:, 0] = IGNORED
    found = held(own, received, label, annotations([1, 0, 0]))
    rest = held(own[:, :, 1:], received[:, :, 1:], label[:, 1:], annotations([1, 0, 0]))
    torch.testing.assert_close(found, rest, **CLOSE)
    found.backward()
    assert not own.grad[:, :, 0].any() and own.grad[:, :, 1].any()


def test_a_case_that_annotates_all_adds_nothing():
    own = draw(2, 3, 0).requires_grad_()
    label = torch.randint(0, 3, (2, *SHAPE))
    loss = held(own, draw(2, 3, 1), label, annotations([1, 1], [1, 1]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(own.grad, torch.zeros_like(own))


def test_equal_answers_cost_nothing_whatever_the_annotated_organs_get():
    own = draw(1, 3, 0)
    received = own.clone()
    received[:, 1] += 5  # annotated: its own loss looks after it
    label = torch.zeros(1, *SHAPE, dtype=torch.long)
    assert abs(float(held(own, received, label, annotations([1, 0])))) < 1e-6


def test_only_the_case_that_leaves_something_open_is_held():
    own = draw(2, 3, 0).requires_grad_()
    label = torch.zeros(2, *SHAPE, dtype=torch.long)
    held(own, draw(2, 3, 1), label, annotations([1, 1], [1, 0])).backward()
    assert torch.equal(own.grad[0], torch.zeros_like(own.grad[0]))
    assert own.grad[1, [0, 2]].abs().max() > 1e-3
    assert torch.equal(own.grad[1, 1], torch.zeros(SHAPE))


def test_a_part_is_held_within_its_organ():
    own, received = draw(1, 4, 0), draw(1, 4, 1)
    label = torch.ones(1, *SHAPE, dtype=torch.long)
    p, q = conditional(received, [1, 2]), conditional(own, [1, 2])
    expected = (p * (p / q).log()).sum(1).mean()
    flags = annotations([1, 0, 1])
    found = held(own, received, label, flags, TUMOUR_IN_LIVER)
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_it_is_finite_for_huge_logits(scale):
    own = (scale * draw(1, 3, 0)).requires_grad_()
    label = torch.zeros(1, *SHAPE, dtype=torch.long)
    loss = held(own, scale * draw(1, 3, 1), label, annotations([1, 0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(own.grad).all()


def test_the_received_model_gets_no_gradient():
    received = draw(1, 3, 1).requires_grad_()
    label = torch.zeros(1, *SHAPE, dtype=torch.long)
    own = draw(1, 3, 0).requires_grad_()
    held(own, received, label, annotations([1, 0])).backward()
    assert received.grad is None
