"""What an update must be before it may touch the global model."""

from collections.abc import Collection

import numpy as np

from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import UpdateRefused

MAX_CASES = 1_000_000
MAX_STEPS = 10_000_000


def screen(
    update: Update, model: Arrays, current_round: int, received: Collection[str], cases: int | None
) -> None:
    """Refuses an update that does not fit the model, the round or the site's own registration.

    Args:
        update: the update with its claims.
        model: the global model that the sites received.
        current_round: the round that is open.
        received: sites whose update this round holds already.
        cases: training cases that the site registered before round 0, None if unknown.

    Raises:
        UpdateRefused: with the reason, for the round's record.
    """
    if update.round != current_round:
        raise UpdateRefused(f"stale: answers round {update.round}, open is {current_round}")
    if update.site in received:
        raise UpdateRefused("duplicate: this round holds an update of the site already")
    _screen_claims(update, cases)
    screen_schema(update.arrays, model)


def _screen_claims(update: Update, cases: int | None) -> None:
    limit = MAX_CASES if cases is None else cases
    if not 1 <= update.cases <= limit:
        bound = "at most" if cases is None else "registered"
        raise UpdateRefused(f"claims {update.cases} training cases, {bound} {limit}")
    if not 1 <= update.steps <= MAX_STEPS:
        raise UpdateRefused(f"claims {update.steps} steps")


def screen_schema(arrays: Arrays, model: Arrays) -> None:
    """Refuses anything but finite arrays of the names, shapes and types of a model.

    Args:
        arrays: what a site sent under names of tensors, untrusted.
        model: the global model.

    Raises:
        UpdateRefused: they differ.
    """
    missing, extra = set(model) - set(arrays), set(arrays) - set(model)
    if missing or extra:
        raise UpdateRefused(f"schema: {len(missing)} tensors missing, {len(extra)} unknown")
    for name, reference in model.items():
        array = arrays[name]
        if not isinstance(array, np.ndarray):
            raise UpdateRefused(f"schema: '{name}' is no array")
        if array.shape != reference.shape:
            raise UpdateRefused(f"shape: '{name}' is {array.shape}, not {reference.shape}")
        if array.dtype != reference.dtype:
            raise UpdateRefused(f"dtype: '{name}' is {array.dtype.name}, not {reference.dtype}")
        if not np.isfinite(array).all():
            count = int(array.size - np.isfinite(array).sum())
            raise UpdateRefused(f"not finite: '{name}' holds {count} NaN or infinite values")
