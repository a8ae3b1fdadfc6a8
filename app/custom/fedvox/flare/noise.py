"""Noise on what leaves a site: a filter of the site's policy, and what a job asks for itself."""

import secrets
from pathlib import Path

import numpy as np
import torch
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from fedvox.aggregation.update import Arrays, Update
from fedvox.config import build
from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError
from fedvox.flare.compress import HELD
from fedvox.flare.received import received_arrays
from fedvox.flare.run.messages import ATTACHED, META, TASK_TRAIN
from fedvox.flare.run.places import is_simulator, load_job
from fedvox.flare.run.site_setup import find_site, has_site_file
from fedvox.job.settings import JobSettings
from fedvox.privacy.accountant import Spend
from fedvox.privacy.gaussian import noised
from fedvox.privacy.ledger import LEDGER, Ledger
from fedvox.privacy.noise_settings import CASE, SITE, NoiseSettings, tighter
from fedvox.training.noise import (
    CasePrivacy,
    begin_round,
    check_run,
    repeatable_seed,
    source_of,
    untold,
    with_noise,
    without_training,
)
from fedvox.training.private_step import check_private
from fedvox.training.site_model import site_network
from fedvox.training.uplink import starting_weights


class NoisyUpdate(Filter):
    """Clips every update and gives it noise, whatever the job says; else nothing leaves.

    With the unit ``case`` training steps get the noise, and an update leaves only where the site's
    ledger says that they did.

    It stands last in ``local/privacy.json`` under ``task_result_filters``. Of what it and the job's
    section ``privacy`` say the stricter holds. What it spends stands in the site's ledger before
    the update leaves; an update beyond the budget stays. Anything that breaks here keeps the result
    at the site, since FLARE sends nothing of a result whose filter raised. The site's own model,
    which has no noise, does not leave, nor does anything beside the weights that comes from
    training cases. Evaluation reports pass: they speak of validation and test cases.

    Args:
        unit: ``site`` or ``case``, as :class:`fedvox.privacy.noise_settings.NoiseSettings`.
        clip: largest L2 norm of what a round changes, or a case in a step.
        noise: standard deviation on each entry as a multiple of ``clip``.
        delta: probability with which the guarantee may fail.
        epsilon: the site's budget, over all jobs.

    Raises:
        ConfigError: a number is out of its range.
    """

    def __init__(
        self,
        unit: str = NoiseSettings.unit,
        clip: float = NoiseSettings.clip,
        noise: float = NoiseSettings.noise,
        delta: float = NoiseSettings.delta,
        epsilon: float = NoiseSettings.epsilon,
    ) -> None:
        super().__init__()
        told = {"unit": unit, "clip": clip, "noise": noise, "delta": delta, "epsilon": epsilon}
        self.settings = build(NoiseSettings, told, "privacy.json")

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The result with noisy weights, or as it came where it holds none.

        Raises:
            BudgetSpent: it would be beyond the budget.
            ConfigError: it holds what noise cannot protect.
        """
        if shareable.get_return_code() not in (None, ReturnCode.OK):
            return shareable
        dxo = from_shareable(shareable)
        if dxo.data_kind in (DataKind.METRICS, DataKind.STATISTICS):
            return shareable
        meta = dict(dxo.meta or {})
        if dxo.data_kind != DataKind.WEIGHTS or ATTACHED in meta:
            raise ConfigError("only weights can be given noise; nothing was sent")
        if fl_ctx.get_prop(FLContextKey.TASK_NAME) != TASK_TRAIN:
            raise ConfigError("the site's own model has no noise; nothing was sent")
        job = load_job(fl_ctx)
        settings = tighter(self.settings, job.privacy)
        claims = dict(meta.get(META) or {})
        index = int(claims.get("round", 0))
        ledger, arrays = ledger_of(fl_ctx, job), dxo.data
        if settings.unit == CASE:
            total = ledger.entered(settings, _job_id(fl_ctx), index)
        else:
            source = source_of(_seed(fl_ctx, job, index))
            arrays = noised(arrays, _base(fl_ctx, job, index), settings, source)
            total = ledger.spend(settings, _job_id(fl_ctx), index, Spend(settings.noise))
        claims |= {**total.claims(), **untold(settings.unit)}
        return DXO(DataKind.WEIGHTS, data=arrays, meta={META: claims}).to_shareable()


def asked_noise(fl_ctx: FLContext, job: JobSettings) -> NoiseSettings | None:
    """What holds at this site: the stricter of its policy and the job; None where neither asks."""
    own = _policy(fl_ctx)
    return job.privacy if own is None else tighter(own, job.privacy)


def check_noise(fl_ctx: FLContext, job: JobSettings, site: SiteData, device: torch.device) -> None:
    """At the start of a run: can the site train with the noise that holds here?

    Args:
        fl_ctx: of the run.
        job: the job's settings.
        site: the site's cases.
        device: where it trains.

    Raises:
        ConfigError: no, with what would do.
    """
    settings = asked_noise(fl_ctx, job)
    if settings is None or site.external:
        return
    if job.privacy is not None and settings.unit == job.privacy.unit:
        check_run(job, len(site.train))
    if settings.unit == CASE:
        check_private(site_network(job, site, device), job.training, device)


def begin_noise(fl_ctx: FLContext, job: JobSettings, index: int, cases: int) -> CasePrivacy | None:
    """Before a round is trained: as :func:`fedvox.training.noise.begin_round`.

    Args:
        fl_ctx: of the task.
        job: the job's settings.
        index: the round, from 0.
        cases: the site's training cases.

    Raises:
        BudgetSpent: its update could not leave; training would be in vain.
    """
    settings = asked_noise(fl_ctx, job)
    if settings is None:
        return None
    ledger, seed = ledger_of(fl_ctx, job), _seed(fl_ctx, job, index)
    return begin_round(settings, job, ledger, _job_id(fl_ctx), index, cases, seed)


def with_own_noise(
    update: Update,
    received: Arrays,
    job: JobSettings,
    fl_ctx: FLContext,
    privacy: CasePrivacy | None,
) -> Update:
    """The update as the executor hands it on: with its noise, unless the policy's filter adds it.

    Args:
        update: as training left it.
        received: the arrays that training began with.
        job: the job's settings.
        fl_ctx: of the task.
        privacy: from :func:`begin_noise`.
    """
    settings = asked_noise(fl_ctx, job)
    if settings is None:
        return update
    if privacy is None and _policy(fl_ctx) is not None:
        return without_training(update, SITE)
    own = {name: np.asarray(received[name]) for name in update.arrays}
    source = source_of(_seed(fl_ctx, job, update.round))
    ledger, run = ledger_of(fl_ctx, job), _job_id(fl_ctx)
    return with_noise(update, own, settings, privacy, ledger, run, source)


def ledger_of(fl_ctx: FLContext, job: JobSettings) -> Ledger:
    """The site's ledger: one for all jobs, beside their states; under the simulator, of the run."""
    state, name = find_site(fl_ctx, job)[1], str(fl_ctx.get_identity_name())
    folder: Path = state if is_simulator(fl_ctx) else state.parent.parent
    return Ledger(folder / LEDGER.format(site=name))


def _policy(fl_ctx: FLContext) -> NoiseSettings | None:
    scope = fl_ctx.get_prop(FLContextKey.SCOPE_OBJECT)
    filters = scope.task_result_filters[FilterKey.OUT] if scope is not None else []
    found = [entry.settings for entry in filters if isinstance(entry, NoisyUpdate)]
    return found[0] if found else None


def _base(fl_ctx: FLContext, job: JobSettings, index: int) -> Arrays:
    """The arrays that training began with, from the replica of a compressed job or what came."""
    held = fl_ctx.get_prop(HELD)
    received = received_arrays(fl_ctx) if held is None else held.arrays
    return starting_weights(received, job, index, find_site(fl_ctx, job)[1])


def _seed(fl_ctx: FLContext, job: JobSettings, index: int) -> int:
    if is_simulator(fl_ctx) and not has_site_file(fl_ctx):  # phantoms need no protection
        return repeatable_seed(job.training.seed, str(fl_ctx.get_identity_name()), index)
    return secrets.randbits(128)


def _job_id(fl_ctx: FLContext) -> str:
    return str(fl_ctx.get_job_id())
