import copy
import dataclasses

import pytest
import torch
from torch import nn

from fedvox.data.cases.patches import draw_batch
from fedvox.job.model import initial_model
from fedvox.losses import build_loss
from fedvox.losses.distillation import conditional_divergence
from fedvox.losses.target import Target
from fedvox.seeding import generator
from fedvox.training import terms
from fedvox.training.step import build_step
from fedvox.training.terms import LOGITS, RECEIVED, Term, needs, outputs_of, terms_of, total

ADDRESS = (0, "site-1", 0, 0)


def draw(seed: int) -> torch.Tensor:
    return torch.randn(1, 3, 2, 3, 4, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def target():
    label = torch.randint(0, 2, (1, 2, 3, 4), generator=torch.Generator().manual_seed(2))
    return Target(label, torch.tensor([[True, False]]))


def test_the_terms_are_the_jobs_loss_and_at_partly_labelled_sites_the_distillation(make_job):
    job = make_job(training={"loss": "dice_focal", "distillation": 0.25})
    assert [(term.name, term.weight) for term in terms_of(job, partly=False)] == [("dice_focal", 1)]
    partly = terms_of(job, partly=True)
    assert [(t.name, t.weight) for t in partly] == [("dice_focal", 1), ("distillation", 0.25)]
    assert needs(partly, RECEIVED) and not needs(partly[:1], RECEIVED)
    without = make_job(training={"distillation": 0.0})
    assert [term.name for term in terms_of(without, partly=True)] == ["dice_ce"]


def test_the_loss_is_the_weighted_sum_of_its_terms(make_job, target):
    job = make_job(training={"distillation": 0.25})
    outputs = {LOGITS: draw(0), RECEIVED: draw(1)}
    expected = build_loss(job.training.loss)(outputs[LOGITS], target)
    expected = expected + 0.25 * conditional_divergence(draw(0), draw(1), target)
    assert torch.equal(total(terms_of(job, partly=True), outputs, target), expected)


def test_a_network_may_name_several_outputs():
    image = torch.rand(1, 1, 2, 2, 2)
    assert torch.equal(outputs_of(nn.Identity(), image)[LOGITS], image)
    assert set(outputs_of(TwoHeads(nn.Identity()), image)) == {LOGITS, "shape"}


class TwoHeads(nn.Module):
    """A network that, while it trains, also returns a second output by name."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.as_tensor(self.network(x))
        return {LOGITS: logits, "shape": self.scale * logits[:, :1]}


def shape_term(job, partly):
    return Term("shape", frozenset({"shape"}), lambda out, _: out["shape"].square().mean(), 0.5)


def test_a_new_term_on_a_new_output_trains_alike_whole_and_in_halves(
    make_job, sites, cpu, monkeypatch
):
    monkeypatch.setattr(terms, "TERMS", (*terms.TERMS, shape_term))
    job = make_job(training={"batch": 2})
    batch = draw_batch(sites[0].train, job.data, 2, generator(0, "batch"))
    whole = TwoHeads(initial_model(job))
    halved = copy.deepcopy(whole)
    losses = [
        build_step(job, model, cpu).differentiate(batch, ADDRESS, parts)
        for model, parts in ((whole, 1), (halved, 2))
    ]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    for one, other in zip(whole.parameters(), halved.parameters()):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)
    assert whole.scale.grad.abs() > 0
    plain = dataclasses.replace(build_step(job, whole, cpu), terms=terms_of(job, False)[:1])
    assert float(plain.differentiate(batch, ADDRESS, 1)) < float(losses[0])


def test_an_output_that_no_term_reads_does_no_harm_in_halves(make_job, sites, cpu):
    job = make_job(training={"batch": 2})
    model = TwoHeads(initial_model(job))
    batch = draw_batch(sites[0].train, job.data, 2, generator(0, "batch"))
    build_step(job, model, cpu).differentiate(batch, ADDRESS, 2)
    assert model.scale.grad is None
