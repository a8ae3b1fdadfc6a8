"""One site's share of a round: validates the received model, trains it, packs the result."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedvox.aggregation.attachment import PROTOTYPES
from fedvox.aggregation.update import Arrays, Update
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.quality.site import site_quality
from fedvox.data.site.site_data import SiteData
from fedvox.inference.evaluate import validate
from fedvox.job.model import job_parts
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of
from fedvox.training.local_round import train_round
from fedvox.training.noise import CasePrivacy
from fedvox.training.prototypes import gather_prototypes


def local_update(
    model: nn.Module,
    site: SiteData,
    job: JobSettings,
    index: int,
    state: Path,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
    start: Arrays | None = None,
    privacy: CasePrivacy | None = None,
) -> Update | None:
    """Validates the received model, trains it for one round and packs the result.

    Args:
        model: holds the received global weights and the site's personal tensors, on the device;
            trained in place.
        site: the site's cases.
        job: the job's settings.
        index: the round, from 0.
        state: the site's state folder of this run.
        device: where to compute.
        stop: asked before each step; True ends the round without a result.
        start: tensors to train on from, where they are not the received ones.
        privacy: noise in each training step; None for none.

    Returns:
        The update, of the tensors that travel only, or None when the round was stopped.
    """
    validation = validation_report(model, site, job, device)
    result = train_round(
        model, site.train, job, site.name, index, state, device, stop, start, privacy
    )
    if result is None:
        return None
    weights = weights_of(model)
    travelling = job_parts(job, model).travelling(weights, site.modalities)
    arrays = {name: array for name, array in weights.items() if name in travelling}
    attached = attachments_of(model, site, job, index, device)
    return Update(
        site=site.name,
        round=index,
        arrays=arrays,
        cases=len(site.train),
        steps=result.steps,
        modality=",".join(case_counts(site.train)),
        loss=result.loss,
        seconds=result.seconds,
        data_wait=result.data_wait,
        quality=site_quality(site, state) if job.training.client_weight.asks_quality else 1.0,
        validation=validation,
        attached=attached,
    )


def attachments_of(
    model: nn.Module, site: SiteData, job: JobSettings, index: int, device: torch.device
) -> dict[str, dict[str, np.ndarray]]:
    """What travels beside the weights: what the job asks for and the site file lists.

    Args:
        model: as trained in the round, on the device.
        site: the site's cases.
        job: the job's settings.
        index: the round, from 0.
        device: where to compute.
    """
    if not job.network.has_memory or PROTOTYPES not in site.attachments:
        return {}
    told = gather_prototypes(model, site.train, job, site.name, index, device)
    return {PROTOTYPES: told} if told else {}


def validation_report(
    model: nn.Module, site: SiteData, job: JobSettings, device: torch.device
) -> dict[str, tuple[float, int]]:
    """Modality -> (mean Dice, cases) of a model on the site's validation cases."""
    found = validate(model, site.val, job, device)
    return {name: (score.dice, score.cases) for name, score in found.items()}


def case_counts(cases: Sequence[PreparedCase]) -> dict[str, int]:
    """Modality -> cases, as a site registers its cases of each part."""
    return dict(sorted(Counter(case.modality for case in cases).items()))
