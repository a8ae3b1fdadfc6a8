import copy
import dataclasses
import itertools

import pytest
import torch

from fedvox.data.cases.patches import draw_batch
from fedvox.data.organs import IGNORED
from fedvox.inference.normalise import normalise
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.losses.distillation import conditional_divergence
from fedvox.losses.target import Target
from fedvox.seeding import generator
from fedvox.tensors import weights_hash
from fedvox.training.step import build_step

ADDRESS = (0, "site-1", 0, 0)
SAME_CONTRAST = {"low": 1.0, "high": 1.0, "brightness": 0.0}


@pytest.fixture
def batch(sites, job):
    return draw_batch(sites[0].train, job.data, 2, generator(0, "batch"))


@pytest.fixture
def still_job(make_job):
    """A job without any augmentation."""
    still = {"name": "none", "geometric": {"probability": 0.0}, "contrast": SAME_CONTRAST}
    return make_job(augmentation=still)


def test_loss_falls_over_a_few_steps_on_one_volume(still_job, batch, cpu):
    step = build_step(still_job, initial_model(still_job), cpu)
    losses = [float(step(batch, ADDRESS, 0.01)) for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(b < a for a, b in itertools.pairwise(losses[:4]))


def test_same_address_draws_the_same_augmentation(job, batch, cpu):
    step = build_step(job, initial_model(job), cpu)
    first, again = step.augmented(batch, ADDRESS), step.augmented(batch, ADDRESS)
    other = step.augmented(batch, (0, "site-1", 0, 1))
    for a, b in zip(first, again):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], other[0])


def test_augmentation_leaves_the_batch_itself_alone(job, batch, cpu):
    image, label = batch.image.clone(), batch.label.clone()
    build_step(job, initial_model(job), cpu).augmented(batch, ADDRESS)
    assert torch.equal(batch.image, image)
    assert torch.equal(batch.label, label)


def test_job_without_augmentation_trains_on_the_drawn_patches(still_job, batch, cpu):
    image, label, annotated = build_step(still_job, initial_model(still_job), cpu).augmented(
        batch, ADDRESS
    )
    # resampling on the identical grid interpolates with weights that round at 1e-6
    torch.testing.assert_close(image, batch.image, rtol=0, atol=1e-5)
    assert torch.equal(label, batch.label)
    assert torch.equal(annotated, batch.annotated)


def test_gin_leaves_each_patch_its_mean_and_spread(make_job, batch, cpu):
    still = {"probability": 0.0, "elastic_probability": 0.0}
    job = make_job(augmentation={"geometric": still, "contrast": SAME_CONTRAST})
    image, _, _ = build_step(job, initial_model(job), cpu).augmented(batch, ADDRESS)
    assert float((image - batch.image).abs().max()) > 0.05
    for own, expected in zip(
        *(torch.std_mean(i, (2, 3, 4), correction=0) for i in (image, batch.image))
    ):
        torch.testing.assert_close(own, expected, rtol=1e-3, atol=1e-4)


def test_gin_is_on_in_training(job, batch, cpu, monkeypatch):
    def forbidden(*args):
        raise AssertionError("GIN was applied")

    monkeypatch.setattr("fedvox.augment.gin.apply_gin", forbidden)
    step = build_step(job, initial_model(job), cpu)
    with pytest.raises(AssertionError, match="GIN was applied"):
        step(batch, ADDRESS, 0.01)


def test_rate_of_zero_changes_nothing(job, batch, cpu):
    model = initial_model(job)
    before = weights_hash(weights_of(model))
    step = build_step(job, model, cpu)
    step(batch, ADDRESS, 0.0)
    assert weights_hash(weights_of(model)) == before
    step(batch, ADDRESS, 0.01)
    assert weights_hash(weights_of(model)) != before


def test_gradient_is_clipped_to_the_norm_of_the_job(make_job, batch, cpu):
    job = make_job(training={"gradient_norm": 0.001})
    model = initial_model(job)
    build_step(job, model, cpu)(batch, ADDRESS, 0.01)
    norm = torch.linalg.vector_norm(
        torch.stack([parameter.grad.norm() for parameter in model.parameters()])
    )
    # the library divides by norm + 1e-6
    assert float(norm) == pytest.approx(0.001, rel=1e-3)


def test_global_random_state_is_not_touched(job, batch, cpu):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    build_step(job, initial_model(job), cpu)(batch, ADDRESS, 0.01)
    assert torch.equal(torch.get_rng_state(), before)


def partly(batch):
    """The batch as a site would draw it that does not outline the second organ."""
    annotated, label = batch.annotated.clone(), batch.label.clone()
    annotated[:, 1] = False
    label[label == 2] = 0
    return dataclasses.replace(batch, annotated=annotated, label=label)


def test_a_partly_labelled_site_is_held_to_the_received_model(make_job, batch, cpu):
    """Steps with a heavy hold keep what is open closer to the received model than steps without."""

    def drift(weight: float) -> float:
        job = make_job(training={"distillation": weight})
        model = initial_model(job)
        step = build_step(job, model, cpu, partly=True)
        drawn = partly(batch)
        before = copy.deepcopy(model).eval()
        for index in range(6):
            step(drawn, (0, "site-1", 0, index), 0.01)
        with torch.no_grad():
            scores = [m(normalise(drawn.image)) for m in (model.eval(), before)]
        return float(conditional_divergence(*scores, Target(drawn.label, drawn.annotated)))

    assert drift(10.0) < 0.5 * drift(0.0)


def test_the_received_model_stays_as_it_was_received(make_job, batch, cpu):
    job = make_job()
    model = initial_model(job)
    step = build_step(job, model, cpu, partly=True)
    assert step.received is not None
    step(partly(batch), ADDRESS, 0.01)
    assert weights_hash(weights_of(step.received)) == weights_hash(weights_of(initial_model(job)))
    assert weights_hash(weights_of(model)) != weights_hash(weights_of(initial_model(job)))


def test_halved_batches_are_held_alike(make_job, batch, cpu):
    job = make_job()
    gradients = []
    for parts in (1, 2):
        model = initial_model(job)
        step = build_step(job, model, cpu, partly=True)
        step.differentiate(partly(batch), ADDRESS, parts)
        gradients.append([p.grad for p in model.parameters()])
    for whole, halved in zip(*gradients):
        torch.testing.assert_close(whole, halved, rtol=1e-4, atol=1e-6)


def test_without_the_term_nothing_is_kept(make_job, cpu):
    job = make_job(training={"distillation": 0.0})
    assert build_step(job, initial_model(job), cpu, partly=True).received is None


def test_a_batch_learns_nothing_from_what_nobody_annotated(still_job, batch, cpu):
    model = initial_model(still_job)
    step = build_step(still_job, model, cpu)
    label = batch.label.clone()
    label[1] = IGNORED
    image = batch.image.clone()
    image[1] = batch.image[0]
    first = dataclasses.replace(batch, label=label, ignores=True)
    losses = [
        float(step.differentiate(part, ADDRESS, 1))
        for part in (first, dataclasses.replace(first, image=image))
    ]
    # the other image's part of each sum is zero; float32 sums are rounded to 6e-8
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] > 0
    nothing = dataclasses.replace(first, label=torch.full_like(label, IGNORED))
    assert float(step.differentiate(nothing, ADDRESS, 1)) == 0
    assert not any(parameter.grad.any() for parameter in model.parameters())
