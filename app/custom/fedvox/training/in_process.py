"""The whole federation in one process, without FLARE: the yardstick for every other way to run.

It calls the same rooms in the same order as the FLARE adapters, so its weights equal theirs.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.aggregation.round import Round
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.selection import Best, checked_scores
from fedvox.aggregation.update import Arrays
from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError, UpdateRefused
from fedvox.job.device import prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights, weights_of
from fedvox.training.local_update import case_counts, local_update, validation_report


@dataclass(frozen=True)
class InProcessResult:
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


def run_in_process(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> InProcessResult:
    """Trains one model over the sites, one after the other, in this process.

    Args:
        sites: opened sites; those that only test take no part.
        job: the job's settings.
        folder: for optimiser states and updates in waiting.

    Raises:
        ConfigError: no site trains.
    """
    sites = [site for site in sites if not site.external]
    if not sites:
        raise ConfigError("no site trains: all only test ('split'); add a site that trains")
    device = prepare_device(job.training)
    model = to_device(initial_model(job), device)
    weights: Arrays = weights_of(model)
    validation = {site.name: case_counts(site.val) for site in sites}
    state = RunState(folder / "server")
    for index in range(job.training.rounds):
        current = Round(
            index,
            weights,
            state.store,
            job.training.client_weight,
            {site.name: len(site.train) for site in sites},
            job.training.aggregator,
            validation,
            job.training.steps,
            job.training.server_momentum,
            state.load_memory(),
        )
        for site in sites:
            load_weights(model, weights)
            update = local_update(model, site, job, index, folder / site.name, device)
            if update is not None:
                with suppress(UpdateRefused):  # the round's record says why, as at the server
                    current.accept(update)
        following, record = current.close()
        state.finish_round(weights, following, record, current.memory)
        weights = following
    load_weights(model, weights)
    reports = {site.name: validation_report(model, site, job, device) for site in sites}
    final = {name: checked_scores(own, validation[name])[0] for name, own in reports.items()}
    choice = state.course.with_last(state.version, final).best
    best = state.load_best() if choice and choice.version < state.version else weights
    return InProcessResult(weights, best or weights, choice, state.rounds())
