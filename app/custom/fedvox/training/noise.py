"""What a site sends of its update where noise is asked for, and what it says of it."""

import math
from dataclasses import dataclass, replace

import numpy as np

from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.privacy.accountant import Spend, check_rounds, round_spend
from fedvox.privacy.gaussian import noised
from fedvox.privacy.ledger import Ledger
from fedvox.privacy.noise_settings import CASE, NoiseSettings
from fedvox.seeding import derive_seed


@dataclass(frozen=True)
class CasePrivacy:
    """Noise in each training step of one round.

    Attributes:
        settings: with the unit ``case``.
        seed: of the draws of cases and of noise; nobody else may know it.
    """

    settings: NoiseSettings
    seed: int


def private_round(settings: NoiseSettings | None, seed: int) -> CasePrivacy | None:
    """What a round's training is told, None where its steps get no noise.

    Args:
        settings: what holds at the site, None where nobody asks for noise.
        seed: secret, of this round alone.
    """
    if settings is None or settings.unit != CASE:
        return None
    return CasePrivacy(settings, seed)


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
    job: JobSettings,
    settings: NoiseSettings,
    ledger: Ledger,
    run: str,
    source: np.random.Generator,
) -> Update:
    """The update as it may leave, whichever way it gets its noise.

    Args:
        update: as training left it, whose steps have had their noise where the unit is ``case``.
        received: what training began with, the same tensors.
        job: the job's settings.
        settings: what holds at this site.
        ledger: of the site; the update stands in it before it is returned.
        run: id of the job, for the ledger.
        source: of noise on the update.

    Raises:
        BudgetSpent: it would be beyond the budget.
        ConfigError: something travels beside the weights.
        DataError: a number is not finite.
    """
    if settings.unit == CASE:
        each = round_spend(settings, update.cases, job.training.batch, update.steps)
        return entered(update, settings, ledger, run, each)
    return noisy_update(update, received, settings, ledger, run, source)


def noisy_update(
    update: Update,
    received: Arrays,
    settings: NoiseSettings,
    ledger: Ledger,
    job: str,
    source: np.random.Generator,
) -> Update:
    """The update with clipped and noisy weights, its ε, and nothing else of the training cases.

    Args:
        update: as training left it.
        received: what training began with, the same tensors.
        settings: what holds at this site.
        ledger: of the site; the update stands in it before it is returned.
        job: id of the job, for the ledger.
        source: of the noise.

    Raises:
        BudgetSpent: it would be beyond the budget.
        ConfigError: something travels beside the weights.
        DataError: a number is not finite.
    """
    arrays = noised(update.arrays, received, settings, source)
    return replace(entered(update, settings, ledger, job, Spend(settings.noise)), arrays=arrays)


def entered(
    update: Update, settings: NoiseSettings, ledger: Ledger, job: str, each: Spend
) -> Update:
    """The update as it may leave once its noise is on it: in the ledger, with its ε, and without
    the claims of :data:`UNTOLD`.

    Args:
        update: as training left it.
        settings: what holds at this site.
        ledger: of the site; the update stands in it before it is returned.
        job: id of the job, for the ledger.
        each: what the update costs.

    Raises:
        BudgetSpent: it would be beyond the budget.
        ConfigError: something travels beside the weights.
    """
    if update.attached:
        raise ConfigError(
            "what travels beside the weights has no noise; take 'attachments' out of the site "
            "file, or ask for a job with 'network.prototypes' set to false"
        )
    total = ledger.spend(settings, job, update.round, each)
    return replace(without_training(update), **total.claims())


UNTOLD = {"loss": math.nan, "quality": 1.0}
"""Claims that come from training cases and have no noise, as they stand where there is noise."""


def without_training(update: Update) -> Update:
    """The update without the claims of :data:`UNTOLD`."""
    return replace(update, loss=UNTOLD["loss"], quality=UNTOLD["quality"])


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
