"""The terms of the network ``mixmodal``: what its settings weigh, over what it returns."""

from collections.abc import Callable

from fedvox.job.settings import JobSettings
from fedvox.losses import build_loss
from fedvox.losses.modal import (
    answer_divergence,
    feature_distance,
    identity_loss,
    prototype_distance,
    shared_distance,
)
from fedvox.networks import outputs as names
from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.training.term import Term


def dropped_segmentation(job: JobSettings, partly: bool) -> Term | None:
    """The job's loss on the logits for what dropping left."""
    if not (isinstance(job.network, MixModalSettings) and job.training.modality_dropout):
        return None
    loss = build_loss(job.training.loss)
    return Term(
        f"{job.training.loss.name} with dropped modalities",
        frozenset({names.DROPPED_LOGITS}),
        lambda outputs, target: loss(outputs[names.DROPPED_LOGITS], target),
    )


def self_distillation(job: JobSettings, partly: bool) -> Term | None:
    """The answer and the features for fewer modalities follow those for all of the case's."""
    own = job.network
    if not (isinstance(own, MixModalSettings) and job.training.modality_dropout):
        return None
    if not own.self_distillation:
        return None
    return Term(
        "self-distillation",
        frozenset({names.LOGITS, names.DROPPED_LOGITS, names.DEEP, names.DROPPED_DEEP}),
        lambda outputs, target: (
            answer_divergence(outputs[names.DROPPED_LOGITS], outputs[names.LOGITS])
            + feature_distance(outputs[names.DROPPED_DEEP], outputs[names.DEEP])
        ),
        own.self_distillation,
    )


def consistency(job: JobSettings, partly: bool) -> Term | None:
    """Shared features are alike: of a case's modalities, or of one and the memory's others."""
    own = job.network
    if not isinstance(own, MixModalSettings) or not own.consistency:
        return None
    return Term(
        "consistency",
        frozenset({names.SHARED, names.MIDDLE, names.ANCHORS, names.PRESENT}),
        lambda outputs, target: (
            shared_distance(outputs[names.SHARED], outputs[names.PRESENT])
            + prototype_distance(
                outputs[names.MIDDLE], outputs[names.ANCHORS], outputs[names.PRESENT], target
            )
        ),
        own.consistency,
    )


def identity(job: JobSettings, partly: bool) -> Term | None:
    """Tailored features tell their modality."""
    own = job.network
    if not (isinstance(own, MixModalSettings) and own.tailored and own.identity):
        return None
    return Term(
        "identity",
        frozenset({names.IDENTITY}),
        lambda outputs, target: identity_loss(outputs[names.IDENTITY]),
        own.identity,
    )


MODAL_TERMS: tuple[Callable[[JobSettings, bool], Term | None], ...] = (
    dropped_segmentation,
    self_distillation,
    consistency,
    identity,
)
"""As :data:`fedvox.training.terms.TERMS`."""
