"""What a site sends of its update where noise is asked for, and what it says of it."""

import math
from dataclasses import replace

import numpy as np

from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import ConfigError
from fedvox.privacy.gaussian import noised
from fedvox.privacy.ledger import Ledger
from fedvox.privacy.noise_settings import NoiseSettings
from fedvox.seeding import derive_seed


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
    if update.attached:
        raise ConfigError(
            "what travels beside the weights has no noise; take 'attachments' out of the site "
            "file, or ask for a job with 'network.prototypes' set to false"
        )
    arrays = noised(update.arrays, received, settings, source)
    epsilon = ledger.spend(settings, job, update.round)
    return replace(without_training(update), arrays=arrays, epsilon=epsilon, delta=settings.delta)


UNTOLD = {"loss": math.nan, "quality": 1.0}
"""Claims that come from training cases and have no noise, as they stand where there is noise."""


def without_training(update: Update) -> Update:
    """The update without the claims of :data:`UNTOLD`."""
    return replace(update, loss=UNTOLD["loss"], quality=UNTOLD["quality"])


def repeatable_source(seed: int, site: str, index: int) -> np.random.Generator:
    """Noise that comes again: for phantoms on one machine, which have nobody to protect.

    Args:
        seed: of the job.
        site: the site's name.
        index: the round, from 0.
    """
    return np.random.Generator(np.random.PCG64(derive_seed(seed, site, index, "noise")))
