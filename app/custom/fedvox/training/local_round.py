"""One site's part of one round, in plain PyTorch."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedvox.aggregation.update import Arrays
from fedvox.data.cases.in_work import STEP, working_on
from fedvox.data.cases.patches import Batch, draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.job.model import job_parts
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights, weights_of
from fedvox.seeding import generator
from fedvox.training.noise import CasePrivacy
from fedvox.training.private_step import DrawnCases, PrivateStep, draw_cases
from fedvox.training.schedule import learning_rate
from fedvox.training.state import load_optimizer, note_steps, save_optimizer, save_personal
from fedvox.training.step import Address, build_step


@dataclass(frozen=True)
class LocalResult:
    """What a local round tells beside its weights.

    Attributes:
        loss: mean training loss of the round.
        steps: optimiser steps taken.
        seconds: wall time of the training loop.
        data_wait: share of these seconds in which the loop waited for its next batch on the device.
    """

    loss: float
    steps: int
    seconds: float
    data_wait: float


Drawn = Batch | DrawnCases
"""What a step trains on."""


class Waits:
    """Hands out batches on the device and sums up the time that their taker waited for them.

    Attributes:
        seconds: the waiting so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def over(self, batches: Iterable[Drawn], device: torch.device) -> Iterator[Drawn]:
        """Yields the batches on the device; what the taker does meanwhile is not counted."""
        source = iter(batches)
        while True:
            start = time.monotonic()
            batch = next(source, None)
            ready = batch.to(device) if batch is not None else None
            self.seconds += time.monotonic() - start
            if ready is None:
                return
            yield ready


def train_round(
    model: nn.Module,
    cases: Sequence[PreparedCase],
    job: JobSettings,
    site: str,
    round_index: int,
    state: Path,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
    start: Arrays | None = None,
    privacy: CasePrivacy | None = None,
) -> LocalResult | None:
    """Trains a model, in place, for one round.

    Every draw depends on (seed, site, round, step) alone, or with noise in the steps on the secret
    of this attempt, and the optimiser's state and the personal tensors are kept in ``state``, so
    the result does not depend on which process trains.

    Args:
        model: the received global model with the site's own personal tensors, on the device.
        cases: the site's training cases.
        job: the job's settings.
        site: the site's name.
        round_index: from 0.
        state: the site's state folder for this run.
        device: where to train.
        stop: asked before each step; True ends the round without a result.
        start: tensors to train on from, where they are not the received ones.
        privacy: noise in each step; None for none.

    Returns:
        The round's figures, or None when it was stopped; no state is written then.
    """
    from tqdm import tqdm

    note_steps(state, privacy is not None)
    train, optimizer = _build(model, cases, job, device, privacy)
    if start is not None:  # after the step has kept the received model, which may be its teacher
        load_weights(model, start, start)
    load_optimizer(optimizer, state, round_index)
    model.train()
    settings, began = job.training, time.monotonic()
    total = torch.zeros((), device=device)
    waits = Waits()
    batches = waits.over(_batches(cases, job, site, round_index, device, privacy), device)
    taken, limit = 0, 60 * settings.minutes or math.inf
    with tqdm(total=settings.steps, desc=f"{site} round {round_index + 1}", disable=None) as bar:
        for index, batch in enumerate(batches):
            if stop():
                return None
            if taken and time.monotonic() - began >= limit:
                break
            taken += 1
            rate = learning_rate(settings, round_index * settings.steps + index)
            with working_on(STEP):
                total += train(batch, (settings.seed, site, round_index, index), rate)
            bar.update()
    loss, seconds = float(total) / taken, time.monotonic() - began
    _save(model, optimizer, job, state, round_index)
    return LocalResult(loss, taken, seconds, waits.seconds / max(seconds, 1e-9))


def _build(
    model: nn.Module,
    cases: Sequence[PreparedCase],
    job: JobSettings,
    device: torch.device,
    privacy: CasePrivacy | None,
) -> tuple[Callable[[Any, Address, float], torch.Tensor], torch.optim.Optimizer]:
    """The round's training step and the optimiser whose state outlives the round."""
    partly = any(len(case.annotated) < len(job.data.organs) for case in cases)
    if privacy is None:
        step = build_step(job, model, device, partly)
        return step, step.optimizer
    alone = replace(job, training=replace(job.training, batch=1))  # one case after the other
    step = build_step(alone, model, device, partly)
    expected = min(job.training.batch, len(cases))
    return PrivateStep(step, privacy, expected), step.optimizer


def _save(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    job: JobSettings,
    state: Path,
    round_index: int,
) -> None:
    """Writes what stays at the site after a round: personal tensors, then the optimiser's state."""
    if job.training.personal:
        save_personal(_personal(job, model), state, round_index)
    save_optimizer(optimizer, state, round_index)


def _personal(job: JobSettings, model: nn.Module) -> dict[str, np.ndarray]:
    """The tensors that stay at the site."""
    parts = job_parts(job, model)
    return {name: array for name, array in weights_of(model).items() if parts.personal(name)}


def _batches(
    cases: Sequence[PreparedCase],
    job: JobSettings,
    site: str,
    round_index: int,
    device: torch.device,
    privacy: CasePrivacy | None = None,
) -> Iterator[Drawn]:
    """The round's batches; on a GPU the next one is read while the device works."""
    settings = job.training

    def draw(index: int) -> Drawn:
        if privacy is not None:
            return draw_cases(cases, job, privacy, index)
        source = generator(settings.seed, site, round_index, index, "patch")
        return draw_batch(cases, job.data, settings.batch, source)

    def draw_ready(index: int) -> Drawn:
        return draw(index).pinned() if device.type == "cuda" else draw(index)

    if device.type == "cpu":
        yield from map(draw, range(settings.steps))
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(draw_ready, 0)
        for index in range(1, settings.steps + 1):
            batch = ahead.result()
            if index < settings.steps:
                ahead = reader.submit(draw_ready, index)
            yield batch
