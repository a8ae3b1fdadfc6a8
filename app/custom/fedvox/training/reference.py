"""The whole federation in one process, without FLARE: the yardstick for every other way to run.

It calls the same rooms in the same order as the FLARE adapters, so its weights equal theirs.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fedvox.aggregation.round import Round
from fedvox.aggregation.selection import Best, Course, checked_scores, scores_from
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Arrays, Update
from fedvox.data.prepared import PreparedCase
from fedvox.data.site_data import SiteData
from fedvox.errors import UpdateRefused
from fedvox.networks import build_network
from fedvox.training.device import prepare_device, to_device
from fedvox.training.evaluate import validate
from fedvox.training.local_round import train_round
from fedvox.training.settings import JobSettings
from fedvox.training.weights import load_weights, weights_of


@dataclass(frozen=True)
class ReferenceResult:
    """What a federation leaves.

    Attributes:
        last: weights after the last round.
        best: weights of the best global model on validation cases.
        choice: which version that is, None when no site has validation cases.
        rounds: the records that ``rounds.jsonl`` holds.
    """

    last: Arrays
    best: Arrays
    choice: Best | None
    rounds: list[dict[str, Any]]


def run_reference(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> ReferenceResult:
    """Trains one model over the sites, one after the other, in this process.

    Args:
        sites: opened sites; one site is local training, a merged one centralised training.
        job: the job's settings.
        folder: for optimiser states and updates in waiting.
    """
    device = prepare_device(job.training)
    model = to_device(initial_model(job), device)
    weights: Arrays = weights_of(model)
    validation = {site.name: case_counts(site.val) for site in sites}
    course, models = Course({}), {0: weights}
    records = []
    for index in range(job.training.rounds):
        current = Round(
            index,
            weights,
            UpdateStore(folder / "incoming"),
            job.training.client_weight,
            {site.name: len(site.train) for site in sites},
            job.training.aggregator,
            validation,
            job.training.steps,
        )
        for site in sites:
            load_weights(model, weights)
            update = local_update(model, site, job, index, folder / site.name, device)
            if update is not None:
                with suppress(UpdateRefused):  # the round's record says why, as at the server
                    current.accept(update)
        following, record = current.close()
        course = course.after(index, scores_from(record))
        weights = following
        kept = {version: models[version] for version in course.kept}
        models = {**kept, index + 1: weights}
        records.append(record)
    load_weights(model, weights)
    reports = {site.name: _report(model, site, job, device) for site in sites}
    final = {name: checked_scores(own, validation[name])[0] for name, own in reports.items()}
    choice = course.with_last(job.training.rounds, final).best
    best = models[choice.version] if choice else weights
    return ReferenceResult(weights, best, choice, records)


def case_counts(cases: Sequence[PreparedCase]) -> dict[str, int]:
    """Modality -> cases, as a site registers its validation and test cases."""
    return dict(sorted(Counter(case.modality for case in cases).items()))


def initial_model(job: JobSettings) -> nn.Module:
    """The network with the job's initial weights, on the CPU."""
    return build_network(job.network, len(job.data.organs) + 1, job.training.seed)


def local_update(
    model: nn.Module,
    site: SiteData,
    job: JobSettings,
    index: int,
    state: Path,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
) -> Update | None:
    """Validates the received model, trains it for one round and packs the result.

    Args:
        model: holds the received global weights, on the device; trained in place.
        site: the site's cases.
        job: the job's settings.
        index: the round, from 0.
        state: the site's state folder of this run.
        device: where to compute.
        stop: asked before each step; True ends the round without a result.

    Returns:
        The update, or None when the round was stopped.
    """
    validation = _report(model, site, job, device)
    result = train_round(model, site.train, job, site.name, index, state, device, stop)
    if result is None:
        return None
    arrays = weights_of(model)
    return Update(
        site=site.name,
        round=index,
        arrays=arrays,
        cases=len(site.train),
        steps=result.steps,
        modality=",".join(site.modalities),
        loss=result.loss,
        seconds=result.seconds,
        data_wait=result.data_wait,
        validation=validation,
        down_bytes=sum(array.nbytes for array in arrays.values()),
    )


def _report(
    model: nn.Module, site: SiteData, job: JobSettings, device: torch.device
) -> dict[str, tuple[float, int]]:
    found = validate(model, site.val, job, device)
    return {name: (score.dice, score.cases) for name, score in found.items()}
