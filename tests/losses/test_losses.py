import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.organs import IGNORED
from fedvox.losses import LOSSES, build_loss
from fedvox.losses.dice_ce import dice_ce
from fedvox.losses.dice_focal import dice_focal
from fedvox.losses.marginal import marginal_log_probabilities
from fedvox.losses.settings import DiceFocalSettings
from fedvox.losses.soft_dice import SMOOTH
from fedvox.losses.target import Target

SHAPE = (3, 4, 5)
# float32 sums over at most 2 * 60 voxels, each rounded to 6e-8
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def draw(batch: int, organs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, organs + 1, *SHAPE, generator=source)
    return logits, torch.randint(0, organs + 1, (batch, *SHAPE), generator=source)


def annotations(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def segmentation_loss(
    logits: torch.Tensor,
    label: torch.Tensor,
    annotated: torch.Tensor,
    name: str = "dice_ce",
    parents: tuple[tuple[int, int], ...] = (),
    ignores: bool = False,
) -> torch.Tensor:
    """A registered loss with the settings that it has by default."""
    loss = build_loss(LOSSES.settings(name)())
    return loss(logits, Target(label, annotated, parents, ignores))


def plain_dice(p: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    return (2 * (p * g).sum() + SMOOTH) / (p.sum() + g.sum() + SMOOTH)


def test_fully_annotated_equals_plain_softmax_dice_and_cross_entropy():
    logits, label = draw(2, 3)
    p = torch.softmax(logits, 1)
    dice = torch.stack([plain_dice(p[:, o], (label == o).float()) for o in (1, 2, 3)])
    cross_entropy = -p.gather(1, label[:, None]).log().mean()
    loss = segmentation_loss(logits, label, annotations([1, 1, 1], [1, 1, 1]))
    torch.testing.assert_close(loss, 1 - dice.mean() + cross_entropy, **CLOSE)


def test_focal_loss_equals_its_formula():
    logits, label = draw(2, 2)
    p = torch.softmax(logits, 1)
    dice = torch.stack([plain_dice(p[:, o], (label == o).float()) for o in (1, 2)])
    true = p.gather(1, label[:, None])
    focal = -((1 - true) ** 2 * true.log()).mean()
    loss = segmentation_loss(logits, label, annotations([1, 1], [1, 1]), "dice_focal")
    torch.testing.assert_close(loss, 1 - dice.mean() + focal, **CLOSE)


def test_unannotated_organ_counts_as_background():
    logits, label = draw(1, 2)
    label[label == 2] = 0
    merged = torch.stack([torch.logaddexp(logits[:, 0], logits[:, 2]), logits[:, 1]], 1)
    expected = segmentation_loss(merged, label, annotations([1]))
    loss = segmentation_loss(logits, label, annotations([1, 0]))
    torch.testing.assert_close(loss, expected, **CLOSE)


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal"])
def test_voxels_that_nobody_annotated_stand_in_no_sum_and_get_no_gradient(name):
    logits, label = draw(2, 2)
    seen, label[0] = label[1:].clone(), IGNORED
    own = logits.clone().requires_grad_()
    loss = segmentation_loss(own, label, annotations([1, 1], [1, 1]), name, ignores=True)
    expected = segmentation_loss(logits[1:], seen, annotations([1, 1]), name)
    torch.testing.assert_close(loss, expected, **CLOSE)
    loss.backward()
    assert torch.equal(own.grad[0], torch.zeros_like(own.grad[0])) and own.grad[1].any()


def test_a_label_without_annotation_costs_nothing_and_moves_nothing():
    logits, label = draw(1, 2)
    own = logits.requires_grad_()
    loss = segmentation_loss(
        own, torch.full_like(label, IGNORED), annotations([1, 1]), ignores=True
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(own.grad, torch.zeros_like(own))


def test_a_label_that_could_hold_ignored_voxels_and_has_none_is_like_any_other():
    logits, label = draw(2, 2)
    flags = annotations([1, 1], [1, 0])
    loss = segmentation_loss(logits, label, flags, ignores=True)
    torch.testing.assert_close(loss, segmentation_loss(logits, label, flags), **CLOSE)


def gradient(logits, label, annotated, parents=()):
    """Of the loss, by the logits."""
    own = logits.clone().requires_grad_()
    segmentation_loss(own, label, annotated, parents=parents).backward()
    return own.grad


def test_background_and_an_unannotated_organ_share_the_gradient_evenly():
    logits, label = draw(1, 2)
    label[label == 2] = 0
    slope = gradient(logits, label, annotations([1, 0]))
    # so a step leaves their difference as it is: the case says nothing on it
    assert torch.equal(slope[:, 0], slope[:, 2])
    assert slope.abs().max() > 1e-3


def test_what_background_and_unannotated_organs_share_is_the_gradient_of_their_sum():
    logits, label = draw(1, 3)
    label[label > 1] = 0
    slope = gradient(logits, label, annotations([1, 0, 0]))
    together = torch.stack([logits[:, [0, 2, 3]].logsumexp(1), logits[:, 1]], 1)
    expected = gradient(together, label, annotations([1]))
    torch.testing.assert_close(slope[:, [0, 2, 3]].sum(1), expected[:, 0], **CLOSE)
    torch.testing.assert_close(slope[:, 1], expected[:, 1], **CLOSE)


def test_an_organ_that_only_others_annotate_does_not_die_out():
    logits = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None, None].expand(1, 3, *SHAPE).clone()
    label = torch.zeros(1, *SHAPE, dtype=torch.long)
    label[:, 0] = 1
    before = logits[:, 0] - logits[:, 2]
    for _ in range(100):  # as training does on each image of a site
        logits -= 10 * gradient(logits, label, annotations([1, 0]))
    torch.testing.assert_close(logits[:, 0] - logits[:, 2], before, **CLOSE)


def test_annotated_organ_confused_with_background_has_a_gradient():
    logits, label = draw(1, 2)
    label[label == 2] = 0
    logits.requires_grad_()
    segmentation_loss(logits, label, annotations([1, 1])).backward()
    p = torch.softmax(logits.detach(), 1)
    slope = logits.grad[:, 0] * p[:, 2] - logits.grad[:, 2] * p[:, 0]
    assert slope.abs().max() > 1e-3


def test_sample_without_any_annotation_teaches_nothing():
    logits, _ = draw(1, 2)
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.zeros(1, *SHAPE), annotations([0, 0]))
    loss.backward()
    # all probability is background: cross-entropy 0 and a constant Dice term of 1
    torch.testing.assert_close(loss.detach(), torch.tensor(1.0), **CLOSE)
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-7)


def test_mixed_batch_uses_each_organ_only_where_it_is_annotated():
    logits, label = draw(2, 2)
    label[1][label[1] == 2] = 0
    p = torch.softmax(logits, 1)
    liver = plain_dice(p[:, 1], (label == 1).float())
    spleen = plain_dice(p[:1, 2], (label[:1] == 2).float())
    true = p.gather(1, label[:, None])[:, 0]
    second = torch.where(label[1] == 0, p[1, 0] + p[1, 2], p[1, 1])
    cross_entropy = -torch.stack([true[0], second]).log().mean()
    loss = segmentation_loss(logits, label, annotations([1, 1], [1, 0]))
    torch.testing.assert_close(loss, 1 - (liver + spleen) / 2 + cross_entropy, **CLOSE)


def test_second_sample_cannot_teach_an_organ_it_does_not_annotate():
    logits, label = draw(2, 2)
    label[1][label[1] == 2] = 0
    logits.requires_grad_()
    segmentation_loss(logits, label, annotations([1, 1], [1, 0])).backward()
    slope = logits.grad[:, 0] - logits.grad[:, 2]
    assert torch.equal(slope[1], torch.zeros(SHAPE))
    assert slope[0].abs().max() > 1e-3


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal"])
def test_perfect_prediction_costs_nothing(name):
    _, label = draw(2, 2)
    logits = 40.0 * torch.nn.functional.one_hot(label, 3).movedim(-1, 1).float()
    loss = segmentation_loss(logits, label, annotations([1, 1], [1, 1]), name)
    # e^-40 of wrong class, and Dice rounds at 6e-8
    assert abs(float(loss)) < 1e-6


def test_hopeless_prediction_costs_one_for_dice_and_the_margin_for_cross_entropy():
    label = torch.ones(1, *SHAPE, dtype=torch.long)
    logits = torch.zeros(1, 2, *SHAPE)
    logits[:, 0] = 40.0
    assert float(segmentation_loss(logits, label, annotations([1]))) == pytest.approx(
        41.0, rel=1e-6
    )


def test_marginal_probabilities_of_used_channels_sum_to_one():
    logits, _ = draw(1, 3)
    p = marginal_log_probabilities(logits, annotations([1, 0, 1])).exp()
    used = p[:, [0, 1, 3]].sum(1)
    torch.testing.assert_close(used, torch.ones_like(used), **CLOSE)


def test_loss_is_finite_for_huge_logits():
    logits, label = draw(1, 2)
    logits = (1e4 * logits).requires_grad_()
    loss = segmentation_loss(logits, label, annotations([1, 0]), "dice_focal")
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


TUMOUR_IN_LIVER = ((1, 0),)  # organs: liver, its tumour, spleen


def merged(logits: torch.Tensor, target: int, source: int) -> torch.Tensor:
    """Logits with one channel added to another in probability and taken out."""
    channels = list(logits.unbind(1))
    channels[target] = torch.logaddexp(channels[target], channels[source])
    del channels[source]
    return torch.stack(channels, 1)


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal"])
def test_part_that_a_case_does_not_tell_apart_counts_as_its_organ(name):
    logits, label = draw(1, 3)
    label[label == 2] = 1
    compact = torch.where(label == 3, 2, label)  # liver, spleen
    expected = segmentation_loss(merged(logits, 1, 2), compact, annotations([1, 1]), name)
    loss = segmentation_loss(logits, label, annotations([1, 0, 1]), name, TUMOUR_IN_LIVER)
    torch.testing.assert_close(loss, expected, **CLOSE)


def test_an_organ_and_its_part_share_the_gradient_where_the_part_is_not_annotated():
    logits, label = draw(1, 3)
    label[label == 2] = 1
    slope = gradient(logits, label, annotations([1, 0, 1]), TUMOUR_IN_LIVER)
    assert torch.equal(slope[:, 1], slope[:, 2])
    assert slope[:, 2].abs().max() > 1e-3  # as liver it learns


def test_part_without_an_annotated_organ_is_background():
    logits, label = draw(1, 3)
    label[(label == 1) | (label == 2)] = 0
    loss = segmentation_loss(logits, label, annotations([0, 0, 1]), parents=TUMOUR_IN_LIVER)
    assert torch.equal(loss, segmentation_loss(logits, label, annotations([0, 0, 1])))


def test_annotated_part_keeps_its_own_channel():
    logits, label = draw(2, 3)
    full = annotations([1, 1, 1], [1, 1, 1])
    loss = segmentation_loss(logits, label, full, parents=TUMOUR_IN_LIVER)
    assert torch.equal(loss, segmentation_loss(logits, label, full))


def test_mixed_batch_joins_the_part_only_where_it_is_not_annotated():
    logits, _ = draw(2, 3)
    flags = annotations([1, 1, 1], [1, 0, 1])
    q = marginal_log_probabilities(logits, flags, TUMOUR_IN_LIVER).exp()
    p = torch.softmax(logits, 1)
    torch.testing.assert_close(q[0], p[0], **CLOSE)
    torch.testing.assert_close(q[1, 1], p[1, 1] + p[1, 2], **CLOSE)
    torch.testing.assert_close(q[1, 0], p[1, 0], **CLOSE)
    torch.testing.assert_close(q[1, [0, 1, 3]].sum(0), torch.ones(SHAPE), **CLOSE)


def test_gradient_is_finite_where_parts_join_for_huge_logits():
    logits, label = draw(2, 3)
    label[label == 2] = 1
    logits = (1e4 * logits).requires_grad_()
    flags = annotations([1, 0, 1], [0, 0, 1])
    label[1][label[1] == 1] = 0
    segmentation_loss(logits, label, flags, "dice_focal", TUMOUR_IN_LIVER).backward()
    assert torch.isfinite(logits.grad).all()


@given(
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sets(st.sampled_from([(1, 0), (3, 2)])),
    st.integers(0, 1000),
)
def test_background_and_annotated_channels_sum_to_one_whatever_is_annotated(flags, parts, seed):
    logits, _ = draw(1, 4, seed)
    parents = tuple(sorted(parts))
    q = marginal_log_probabilities(logits, annotations(flags), parents).exp()
    used = [0, *(place + 1 for place, flag in enumerate(flags) if flag)]
    torch.testing.assert_close(q[:, used].sum(1), torch.ones(1, *SHAPE), **CLOSE)


@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("name", ["dice_ce", "dice_focal"])
def test_knowing_that_all_is_annotated_spares_work_and_changes_no_bit(name, ignores):
    logits, label = draw(2, 3)
    if ignores:
        label[0, 0] = IGNORED
    loss, found = build_loss(LOSSES.settings(name)()), []
    for complete in (False, True):
        own = logits.clone().requires_grad_()
        annotated = annotations([1, 1, 1], [1, 1, 1])
        value = loss(own, Target(label, annotated, ((1, 0),), ignores, complete))
        value.backward()
        found.append((value.detach(), own.grad))
    assert all(torch.equal(plain, quick) for plain, quick in zip(*found))


def test_names_are_dice_with_cross_entropy_and_with_focal_loss():
    assert {"dice_ce", "dice_focal"} <= set(LOSSES)


def test_the_focal_loss_takes_its_gamma_from_its_settings():
    logits, label = draw(2, 2)
    target = Target(label, annotations([1, 1], [1, 0]))
    for gamma in (0.5, 3.0):
        loss = build_loss(DiceFocalSettings(gamma=gamma))(logits, target)
        assert torch.equal(loss, dice_focal(logits, target, gamma))
    assert torch.equal(dice_focal(logits, target, 0.0), dice_ce(logits, target))
