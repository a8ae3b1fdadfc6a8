"""What a site sends of its update where noise is asked for, and what it says of it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.privacy.accountant import Spend, check_rounds, round_spend
from fedvox.privacy.gaussian import noised
from fedvox.privacy.ledger import Ledger, Total
from fedvox.privacy.noise_settings import CASE, SITE, NoiseSettings
from fedvox.seeding import derive_seed


@dataclass(frozen=True)
class CasePrivacy:
    """Noise in each training step of one round.

    Attributes:
        settings: with the unit ``case``.
        seed: 128 bits, of this round alone, of the draws of cases and of noise; nobody else may
            know it.
        total: what the site has spent, this round included: it stands in the ledger before the
            first step, since what a step leaves behind may leave with any later update.
    """

    settings: NoiseSettings
    seed: int
    total: Total


def begin_round(
    settings: NoiseSettings,
    job: JobSettings,
    ledger: Ledger,
    run: str,
    index: int,
    cases: int,
    seed: int,
) -> CasePrivacy | None:
    """Before a round is trained: may its update leave at all? With the unit ``case`` it is entered
    in the ledger, with the steps that are planned.

    Args:
        settings: what holds at the site.
        job: the job's settings.
        ledger: of the site.
        run: id of the job, for the ledger.
        index: the round, from 0.
        cases: the site's training cases.
        seed: secret, of this round alone.

    Returns:
        What training is told; None where its steps get no noise.

    Raises:
        BudgetSpent: it would be beyond the budget; training would be in vain.
    """
    each = round_spend(settings, cases, job.training.batch, job.training.steps)
    if settings.unit != CASE:
        ledger.check(settings, each)
        return None
    return CasePrivacy(settings, seed, ledger.spend(settings, run, index, each))


def check_run(job: JobSettings, cases: int) -> None:
    """Do the job's rounds fit into its own budget at a site?

    Args:
        job: the job's settings.
        cases: the site's training cases.

    Raises:
        ConfigError: no, with what would do.
    """
    if job.privacy is None or not cases:
        return
    training = job.training
    each = round_spend(job.privacy, cases, training.batch, training.steps)
    check_rounds(job.privacy, training.rounds, each)


def with_noise(
    update: Update,
    received: Arrays,
    settings: NoiseSettings,
    privacy: CasePrivacy | None,
    ledger: Ledger,
    run: str,
    source: np.random.Generator,
) -> Update:
    """The update as it may leave, whichever way it gets its noise.

    Args:
        update: as training left it.
        received: what training began with, the same tensors.
        settings: what holds at this site.
        privacy: from :func:`begin_round`.
        ledger: of the site; the update stands in it before it is returned.
        run: id of the job, for the ledger.
        source: of noise on the update.

    Raises:
        BudgetSpent: it would be beyond the budget.
        ConfigError: something travels beside the weights.
        DataError: a number is not finite.
    """
    if update.attached:
        raise ConfigError(
            "what travels beside the weights has no noise; take 'attachments' out of the site "
            "file, or ask for a job with 'network.prototypes' set to false"
        )
    if privacy is not None:
        return replace(without_training(update, CASE), **privacy.total.claims())
    arrays = noised(update.arrays, received, settings, source)
    total = ledger.spend(settings, run, update.round, Spend(settings.noise))
    return replace(without_training(update, SITE), arrays=arrays, **total.claims())


def untold(unit: str) -> dict[str, float]:
    """Claims that come from training cases and have no noise, as they stand where there is noise.

    Args:
        unit: whom the noise hides. Cases go through a step one after the other, so its time would
            tell how many took part.
    """
    times = {"seconds": math.nan, "data_wait": math.nan} if unit == CASE else {}
    return {"loss": math.nan, "quality": 1.0, **times}


def without_training(update: Update, unit: str) -> Update:
    """The update without the claims of :func:`untold`."""
    told: dict[str, Any] = dict(untold(unit))
    return replace(update, **told)


def repeatable_seed(seed: int, site: str, index: int) -> int:
    """Of noise that comes again: for phantoms on one machine, which have nobody to protect.

    Args:
        seed: of the job.
        site: the site's name.
        index: the round, from 0.
    """
    return derive_seed(seed, site, index, "noise")


def source_of(seed: int) -> np.random.Generator:
    """A source of noise on an update."""
    return np.random.Generator(np.random.PCG64(seed))
