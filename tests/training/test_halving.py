import logging

import pytest
import torch
from torch import nn

from fedvox.data.cases.patches import draw_batch
from fedvox.errors import MemoryFull
from fedvox.inference.normalise import normalise
from fedvox.job.device import out_of_memory
from fedvox.job.model import initial_model
from fedvox.seeding import generator
from fedvox.training.halving import backward_in_parts
from fedvox.training.local_round import train_round
from fedvox.training.step import build_step

ADDRESS = (0, "site-1", 0, 0)
PATCH = 16**3
CPU_TEXT = (
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


class Narrow(nn.Module):
    """A network on a device that holds ``most`` voxels of input at a time."""

    def __init__(self, network: nn.Module, most: int, error: Exception) -> None:
        super().__init__()
        self.network, self.most, self.error = network, most, error
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if x.numel() > self.most:
            raise self.error
        return torch.as_tensor(self.network(x))


def narrow(job, patches: int, error: Exception | None = None) -> Narrow:
    return Narrow(initial_model(job), patches * PATCH, error or torch.OutOfMemoryError("full"))


def trained(model: nn.Module, job, batch) -> nn.Module:
    """The network after one step."""
    build_step(job, model, torch.device("cpu"))(batch, ADDRESS, 0.01)
    return model.network if isinstance(model, Narrow) else model


def batch_of(sites, job, size: int):
    return draw_batch(sites[0].train, job.data, size, generator(0, "batch"))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("loss", ["dice_ce", "dice_focal"])
@pytest.mark.parametrize("partial", [False, True])
def test_gradient_in_halves_is_that_of_the_whole_batch(make_job, sites, cpu, size, loss, partial):
    job = make_job(training={"batch": size, "loss": loss})
    batch = batch_of(sites, job, size)
    if partial:  # the first sample annotates no spleen: samples weigh differently in each organ
        batch.annotated[0, 1] = False
    gradients = []
    for parts in (1, 2):
        model = initial_model(job)
        step = build_step(job, model, cpu)
        value = step.differentiate(batch, ADDRESS, parts)
        gradients.append([value, *(p.grad for p in model.parameters())])
    for one, other in zip(*gradients):
        # float32 sums in another order
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_mean_of_the_halves_losses_would_be_another_gradient():
    x = torch.tensor([[1.0], [3.0]], requires_grad=True)

    backward_in_parts(
        nn.Identity(),
        lambda part: {"logits": part * 1.0},
        (x,),
        lambda found: found["logits"].sum() ** 2,
        2,
    )
    # (1 + 3)² has the gradient 8 at both; the mean of 1² and 3² would have 1 and 3
    assert x.grad is not None and x.grad.tolist() == [[8.0], [8.0]]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), RuntimeError(CPU_TEXT), MemoryError()]
)
def test_halved_steps_give_the_weights_of_whole_ones(job, sites, error):
    batch = batch_of(sites, job, 2)
    model = narrow(job, 1, error)
    halved, whole = (trained(m, job, batch) for m in (model, initial_model(job)))
    assert model.sizes == [2, 1, 1, 1, 1]
    compared = 0
    for one, other in zip(halved.parameters(), whole.parameters()):
        # A bias before instance normalisation has a gradient of 0 but for rounding, and AdamW makes
        # a whole step of either sign of it; no score depends on it.
        used = other.grad.abs() > 1e-5
        torch.testing.assert_close(one[used], other[used], rtol=0, atol=1e-5)
        compared += int(used.sum())
    assert compared > 0.9 * sum(p.numel() for p in whole.parameters())
    torch.testing.assert_close(halved(batch.image), whole(batch.image), rtol=0, atol=1e-4)


def test_memory_is_tried_once_and_named_once_in_a_round(job, sites, state, cpu, caplog):
    model = narrow(job, 1)
    with caplog.at_level(logging.WARNING):
        result = train_round(model, sites[0].train, job, "site-1", 0, state, cpu)
    assert result is not None and result.steps == 2
    assert model.sizes == [2, 1, 1, 1, 1, 1, 1, 1, 1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("site-1: this machine's memory is too small for a step of batch 2")
    assert "16x16x16" in line and "lower training.batch or data.patch" in line


@pytest.mark.parametrize(("norm", "effect"), [("instance", "the same"), ("batch", "nearly the sa")])
def test_the_log_says_what_batch_normalisation_makes_of_it(
    make_job, sites, cpu, caplog, norm, effect
):
    job = make_job(network={"norm": norm})
    with caplog.at_level(logging.WARNING):
        build_step(job, narrow(job, 1), cpu)(batch_of(sites, job, 2), ADDRESS, 0.01)
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"which gives {effect}" in line


class Late(Narrow):
    """Notices at its end that memory is full: running statistics have been updated by then."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.as_tensor(self.network(x))
        if x.numel() > self.most:
            raise self.error
        return scores


def test_running_statistics_see_each_half_of_a_batch_once(make_job, sites, cpu):
    job = make_job(network={"norm": "batch"})
    batch = batch_of(sites, job, 2)
    model = Late(initial_model(job), PATCH, torch.OutOfMemoryError("full"))
    step = build_step(job, model, cpu)
    image, _, _ = step.augmented(batch, ADDRESS)
    twin = initial_model(job).train()
    for half in normalise(image).split(1):
        twin(half)
    step(batch, ADDRESS, 0.01)
    expected = dict(twin.named_buffers())
    assert "model.0.adn.N.running_mean" in expected
    for name, buffer in model.network.named_buffers():
        assert torch.equal(buffer, expected[name]), name


def test_a_half_that_is_too_large_ends_the_step_with_one_line(job, sites, cpu):
    step = build_step(job, narrow(job, 0), cpu)
    expected = r"^site-1: .* batch 2 with patches of 16x16x16 voxels, even in halves; lower trai"
    with pytest.raises(MemoryFull, match=expected):
        step(batch_of(sites, job, 2), ADDRESS, 0.01)


def test_a_batch_of_one_cannot_be_halved(make_job, sites, cpu):
    job = make_job(training={"batch": 1})
    model = narrow(job, 0)
    with pytest.raises(MemoryFull, match=r"batch 1 .* voxels; lower data\.patch"):
        build_step(job, model, cpu)(batch_of(sites, job, 1), ADDRESS, 0.01)
    assert model.sizes == [1]


def test_other_errors_pass_unchanged(job, sites, cpu):
    model = narrow(job, 1, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        build_step(job, model, cpu)(batch_of(sites, job, 2), ADDRESS, 0.01)
    assert model.sizes == [2]


def test_pytorch_s_own_failure_to_allocate_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(ValueError("out of memory"))
