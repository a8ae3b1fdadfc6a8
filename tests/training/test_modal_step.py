"""A step with dropped modalities, whole and in halves, and the terms that it sums."""

import pytest
import torch

from fedvox.augment.modality_dropout import draw_kept
from fedvox.data.cases.patches import draw_batch
from fedvox.inference.normalise import normalise
from fedvox.job.model import initial_model
from fedvox.losses.modal import (
    answer_divergence,
    feature_distance,
    prototype_distance,
    shared_distance,
)
from fedvox.losses.target import Target
from fedvox.seeding import generator
from fedvox.training.step import build_step
from fedvox.training.terms import terms_of

ADDRESS = (0, "site-1", 0, 0)
AIR = float(normalise(torch.zeros(())))


def batch_of(sites, job, *present: tuple[bool, ...]):
    """Patches of a complete case, less what their samples shall lack."""
    batch = draw_batch(sites[0].train[:1], job.data, len(present), generator(0, "batch"))
    batch.present[:] = torch.tensor(present)
    batch.image[:] = batch.image * batch.present[:, :, None, None, None]
    return batch


ALL, T1, T2 = (True, True, True), (True, False, False), (False, True, False)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_unet_sees_air_where_a_modality_is_dropped(modal_sites, make_modal_job, cpu, share):
    job = make_modal_job(
        network={"name": "unet", "channels": [4, 8]}, training={"modality_dropout": share}
    )
    batch, model, seen = batch_of(modal_sites, job, ALL, T1, ALL, ALL), initial_model(job), []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    build_step(job, model, cpu).differentiate(batch, ADDRESS, 1)
    kept = draw_kept(batch.present, share, generator(*ADDRESS, "modality"))
    assert [(c == AIR).all().item() for c in seen[0].flatten(0, 1)] == (~kept).flatten().tolist()
    assert (kept != batch.present).any().item() is (share > 0)


def test_mixmodal_learns_from_the_whole_input_and_from_what_dropping_leaves(
    modal_sites, modal_job, cpu
):
    batch, model, seen = batch_of(modal_sites, modal_job, ALL, T1), initial_model(modal_job), []
    model.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    build_step(modal_job, model, cpu).differentiate(batch, ADDRESS, 1)
    image, kept = seen
    assert [(c == AIR).all().item() for c in image.flatten(0, 1)] == [
        *(False, False, False),
        *(False, True, True),
    ]
    drawn = draw_kept(batch.present, 0.5, generator(*ADDRESS, "modality"))
    assert torch.equal(kept, drawn.float())


@pytest.mark.parametrize("present", [(ALL, T1), (T1, T2), (T1, T1)], ids=["all", "apart", "alike"])
@pytest.mark.parametrize("held", [("t1", "t2", "flair"), ("t1",)], ids=["whole", "part"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_gradient_in_halves_is_that_of_the_whole_batch(
    modal_sites, make_modal_job, cpu, present, held, share
):
    """Though a half may hold no image of a modality, or none with an encoder."""
    job = make_modal_job(
        network={"identity": 1.0, "consistency": 1.0}, training={"modality_dropout": share}
    )
    batch = batch_of(modal_sites, job, *present)
    gradients = []
    for parts in (1, 2):
        model = initial_model(job, held)
        for number, rows in enumerate(model.memory.buffers()):
            rows.copy_(torch.randn(rows.shape, generator=torch.Generator().manual_seed(number)))
        value = build_step(job, model, cpu).differentiate(batch, ADDRESS, parts)
        gradients.append({"": value, **{n: p.grad for n, p in model.named_parameters()}})
    for name, one in gradients[0].items():
        other = gradients[1][name]
        assert (one is None or not one.any()) == (other is None or not other.any()), name
        if one is not None and other is not None:
            # float32 sums in another order
            torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)


def test_a_step_in_mixed_precision_has_nearly_the_same_loss(
    modal_sites, make_modal_job, cpu, monkeypatch
):
    job = make_modal_job(network={"identity": 1.0, "consistency": 1.0})
    batch = batch_of(modal_sites, job, ALL, T1)
    losses, mixed_precision = [], torch.autocast("cpu", torch.bfloat16)
    for mixed in (False, True):
        model = initial_model(job)
        for rows in model.memory.buffers():
            rows.fill_(0.5)
        if mixed:
            monkeypatch.setattr("fedvox.training.step.autocast", lambda *_: mixed_precision)
        losses.append(float(build_step(job, model, cpu).differentiate(batch, ADDRESS, 1)))
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert losses[1] == pytest.approx(losses[0], rel=0.02) and losses[1] != losses[0]


def test_a_step_moves_no_prototype(modal_sites, modal_job, cpu):
    model = initial_model(modal_job)
    for rows in model.memory.buffers():
        rows.fill_(0.5)
    build_step(modal_job, model, cpu)(batch_of(modal_sites, modal_job, ALL, T1), ADDRESS, 0.01)
    assert all((rows == 0.5).all() for rows in model.memory.buffers())


def test_terms_sum_what_they_are_named_after(modal_sites, modal_job, cpu):
    model = initial_model(modal_job)
    for number, rows in enumerate(model.memory.buffers()):
        rows.copy_(torch.randn(rows.shape, generator=torch.Generator().manual_seed(number)))
    batch = batch_of(modal_sites, modal_job, ALL, T1)
    target = Target(batch.label, batch.annotated)
    with torch.no_grad():
        out = model(normalise(batch.image), torch.tensor([[1.0, 0, 1], [1, 0, 0]]))
        found = {term.name: float(term.value(out, target)) for term in terms_of(modal_job, False)}
        apart = shared_distance(out["shared"], out["present"])
        organs = prototype_distance(out["middle"], out["anchors"], out["present"], target)
        answers = answer_divergence(out["dropped_logits"], out["logits"])
        features = feature_distance(out["dropped_deep"], out["deep"])
    assert min(apart, organs, answers, features) > 0
    assert found["consistency"] == pytest.approx(float(apart + organs))
    assert found["self-distillation"] == pytest.approx(float(answers + features))


EVERY = {
    "dice_ce": 1.0,
    "dice_ce with dropped modalities": 1.0,
    "self-distillation": 0.5,
    "consistency": 0.1,
    "identity": 0.02,
}


@pytest.mark.parametrize(
    ("changed", "without"),
    [
        ({}, ()),
        (
            {"training": {"modality_dropout": 0.0}},
            ("dice_ce with dropped modalities", "self-distillation"),
        ),
        ({"network": {"self_distillation": 0.0}}, ("self-distillation",)),
        ({"network": {"consistency": 0.0}}, ("consistency",)),
        ({"network": {"identity": 0.0}}, ("identity",)),
        ({"network": {"tailored": False, "prototypes": False}}, ("identity",)),
        ({"network": {"name": "unet", "channels": [4, 8]}}, tuple(EVERY)[1:]),
    ],
)
def test_each_term_is_weighed_by_its_setting(make_modal_job, changed, without):
    found = {term.name: term.weight for term in terms_of(make_modal_job(**changed), False)}
    assert found == {name: weight for name, weight in EVERY.items() if name not in without}


def test_what_is_missing_stays_so_whatever_an_augmentation_makes_of_it(
    modal_sites, modal_job, cpu, monkeypatch
):
    monkeypatch.setattr("fedvox.training.step.vary_contrast", lambda image, *_: image + 0.5)
    step = build_step(modal_job, initial_model(modal_job), cpu)
    image, _, _ = step.augmented(batch_of(modal_sites, modal_job, ALL, T2), ADDRESS)
    assert [bool(own.any()) for own in image.flatten(0, 1)] == [True] * 3 + [False, True, False]
