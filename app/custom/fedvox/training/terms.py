"""A step's loss: a list of weighted terms over named outputs.

Training sums the list, planning measures what the same list keeps in memory. A term reads outputs
by name: ``logits`` of the network that trains, ``received`` of the frozen model that the round
began with, and whatever else the network returns by name while it trains.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from fedvox.job.settings import JobSettings
from fedvox.losses import build_loss
from fedvox.losses.distillation import conditional_divergence
from fedvox.losses.target import Target
from fedvox.networks.outputs import LOGITS
from fedvox.training.modal_terms import MODAL_TERMS
from fedvox.training.term import RECEIVED, Outputs, Term


def segmentation(job: JobSettings, partly: bool) -> Term:
    """The job's loss on the logits."""
    loss = build_loss(job.training.loss)
    return Term(
        job.training.loss.name,
        frozenset({LOGITS}),
        lambda outputs, target: loss(outputs[LOGITS], target),
    )


def distillation(job: JobSettings, partly: bool) -> Term | None:
    """Holds a partly labelled site to the received model, if the job wants that."""
    if not partly or not job.training.distillation:
        return None
    return Term(
        "distillation",
        frozenset({LOGITS, RECEIVED}),
        lambda outputs, target: conditional_divergence(outputs[LOGITS], outputs[RECEIVED], target),
        job.training.distillation,
    )


TERMS: tuple[Callable[[JobSettings, bool], Term | None], ...] = (
    segmentation,
    distillation,
    *MODAL_TERMS,
)
"""Each from a job and whether the site is partly labelled; None where it does not apply."""


def terms_of(job: JobSettings, partly: bool) -> tuple[Term, ...]:
    """The terms of a job's loss.

    Args:
        job: the job's settings.
        partly: whether some training case leaves out an organ of the job.
    """
    return tuple(term for build in TERMS if (term := build(job, partly)) is not None)


def needs(terms: Sequence[Term], output: str) -> bool:
    """Whether some term reads an output."""
    return any(output in term.reads for term in terms)


def outputs_of(network: nn.Module, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """A network's outputs by name.

    Args:
        network: returns logits, or a mapping that names them ``logits`` among others.
        inputs: the image ``(B, C, X, Y, Z)``; of a network that drops channels itself also what it
            keeps, ``(B, C)``.
    """
    found = network(*inputs)
    return dict(found) if isinstance(found, Mapping) else {LOGITS: torch.as_tensor(found)}


def total(terms: Sequence[Term], outputs: Outputs, target: Target) -> torch.Tensor:
    """``Σ weight · value`` over the terms.

    Args:
        terms: at least one.
        outputs: all that the terms read.
        target: the labels.

    Returns:
        Scalar.
    """
    first, *others = (term.weight * term.value(outputs, target) for term in terms)
    return sum(others, first)
