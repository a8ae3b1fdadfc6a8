"""The whole federation in one process, without FLARE: the yardstick for every other way to run.

It calls the same rooms in the same order as the FLARE adapters, so its weights equal theirs.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fedvox.aggregation.downlink import sent_from
from fedvox.aggregation.left_out import counted_share
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.selection import Best, checked_scores
from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.update import Arrays, Update
from fedvox.data.settings import singles
from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError, UpdateRefused
from fedvox.job.device import prepare_device
from fedvox.job.model import initial_model, job_parts
from fedvox.job.round_rules import round_rules
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of
from fedvox.privacy.ledger import LEDGER, Ledger
from fedvox.training.local_update import case_counts, local_update, validation_report
from fedvox.training.noise import begin_round, check_run, repeatable_seed, source_of, with_noise
from fedvox.training.site_model import SiteModel, site_network
from fedvox.training.state import count_residual, load_personal
from fedvox.training.uplink import compress_update, starting_weights


@dataclass(frozen=True)
class InProcessResult:
    """What a federation leaves.

    Attributes:
        last: weights after the last round.
        best: weights of the best global model on validation cases.
        choice: which version that is, None when no site has validation cases.
        rounds: the records that ``rounds.jsonl`` holds.
        personal: site -> its own tensors after the last round, where the job keeps some at the
            sites; the weights above lack them.
    """

    last: Arrays
    best: Arrays
    choice: Best | None
    rounds: list[dict[str, Any]]
    personal: Mapping[str, Arrays] = field(default_factory=dict)


def run_in_process(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> InProcessResult:
    """Trains one model over the sites, one after the other, in this process.

    Args:
        sites: opened sites; those that only test take no part.
        job: the job's settings.
        folder: for optimiser states and updates in waiting.

    Raises:
        ConfigError: no site trains, or updates shall be encrypted.
    """
    if job.encryption is not None:
        raise ConfigError("'encryption' needs the keys of start-up kits; leave it out here")
    sites = _training(sites)
    for site in sites:
        check_run(job, len(site.train))
    device = prepare_device(job.training)
    whole = initial_model(job)
    weights: Arrays = weights_of(whole)
    weights = {name: weights[name] for name in job_parts(job, whole).common(weights)}
    own = _site_models(sites, job, folder, device)
    travelling = {name: site.travelling for name, site in own.items()}
    validation = {site.name: case_counts(site.val) for site in sites}
    state = RunState(folder / "server")
    memory = Memory()  # of this run: an earlier one may have left its own in the folder
    for index in range(job.training.rounds):
        current = Round(
            index,
            weights,
            state.store,
            round_rules(job),
            {site.name: case_counts(site.train) for site in sites},
            validation,
            memory,
            travelling,
            state.load_best,
        )
        traffic = _train(own, current, weights, memory, job, folder)
        following, record = current.close(traffic or None)
        state.finish_round(weights, following, record, current.memory)
        weights, memory = following, current.memory
    final = {}
    for name, model in own.items():
        received = received_part(weights, model.travelling)
        told = validation_report(
            model.load(received, state.version, False), model.site, job, device
        )
        final[name] = checked_scores(told, validation[name])[0]
    choice = state.course.with_last(state.version, final).best
    best = state.load_best() if choice and choice.version < state.version else weights
    kept = {site.name: load_personal(folder / site.name) for site in sites}
    return InProcessResult(weights, best or weights, choice, state.rounds(), kept)


def _train(
    own: Mapping[str, SiteModel],
    current: Round,
    weights: Arrays,
    memory: Memory,
    job: JobSettings,
    folder: Path,
) -> dict[str, Traffic]:
    """Trains every site for a round, one after the other; the round takes what they send."""
    traffic: dict[str, Traffic] = {}
    for name, model in own.items():
        received = received_part(weights, model.travelling)
        network, state = model.load(received, current.index), folder / name
        if told := counted_share(memory, name):
            count_residual(state, *told)
        start = starting_weights(received, job, current.index, state)
        seed, privacy = repeatable_seed(job.training.seed, name, current.index), None
        ledger, count = Ledger(state / LEDGER.format(site=name)), len(model.site.train)
        if job.privacy is not None:
            privacy = begin_round(job.privacy, job, ledger, job.name, current.index, count, seed)
        update = local_update(
            network,
            model.site,
            job,
            current.index,
            state,
            model.device,
            start=start,
            privacy=privacy,
        )
        if update is None:
            continue
        if job.privacy is not None:
            update = with_noise(
                update, start, job.privacy, privacy, ledger, job.name, source_of(seed)
            )
        if job.compression is not None:
            update, traffic[name] = _compressed(update, received, memory, job, folder)
        with suppress(UpdateRefused):  # the round's record says why, as at the server
            current.accept(update)
    return traffic


def _site_models(
    sites: Sequence[SiteData], job: JobSettings, folder: Path, device: torch.device
) -> dict[str, SiteModel]:
    """Site -> its model; sites that build the same share one network."""
    built: dict[frozenset[str], nn.Module] = {}
    own = {}
    for site in sites:
        parts = singles(site.modalities) if job.network.needs_channels else frozenset()
        if parts not in built:
            built[parts] = site_network(job, site, device)
        own[site.name] = SiteModel(built[parts], site, job, folder / site.name, device)
    return own


def _training(sites: Sequence[SiteData]) -> list[SiteData]:
    """The sites that train."""
    found = [site for site in sites if not site.external]
    if not found:
        raise ConfigError("no site trains: all only test ('split'); add a site that trains")
    return found


def _compressed(
    update: Update, received: Arrays, memory: Memory, job: JobSettings, folder: Path
) -> tuple[Update, Traffic]:
    """An update as the server reads it, and what the messages of this round would weigh."""
    state = folder / update.site
    sent = compress_update(update.arrays, received, job, update.round, state)
    steps = sent_from(memory)
    messages = None if steps is None else steps.part(received)
    down = sum(len(message.payload) for message in messages or ())
    return replace(update, arrays=sent.arrays), Traffic(len(sent.payload), down)


def received_part(weights: Arrays, names: Collection[str]) -> Arrays:
    """What a site gets of the global model.

    Args:
        weights: the global model.
        names: the tensors that travel between the site and the server.
    """
    return {name: array for name, array in weights.items() if name in names}
