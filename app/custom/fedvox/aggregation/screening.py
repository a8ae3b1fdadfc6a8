"""What an update must be before it may touch the global model."""

from collections.abc import Collection

import numpy as np

from fedvox.admission.registration import MAX_CASES, Registration
from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import OutOfTurn, UpdateRefused

MAX_STEPS = 100_000
"""As ``training.steps`` allows."""
MAX_VALUE = 65504.0
"""Largest number of half precision: a weight beyond it cannot be used in mixed precision, and a
mean with it would leave a model that computes only NaN."""


def screen(
    update: Update,
    model: Arrays | None,
    current_round: int,
    received: Collection[str],
    cases: int | None,
    steps: range | None = None,
) -> None:
    """Refuses an update that does not fit the model, the round or the site's own registration.

    Args:
        update: the update with its claims.
        model: the global model that the sites received; None where its form is looked at elsewhere.
        current_round: the round that is open.
        received: sites whose update this round holds already.
        cases: training cases that the site registered, None where nobody registers.
        steps: that a site may have taken in a round, where they decide the weight, else None.

    Raises:
        UpdateRefused: with the reason, for the round's record.
    """
    if update.round != current_round:
        raise OutOfTurn(stale_text(update.round, current_round))
    if update.site in received:
        raise OutOfTurn("duplicate: this round holds an update of the site already")
    _screen_claims(update, cases, steps)
    if model is not None:
        screen_schema(update.arrays, model)


def check_modalities(update: Update, own: Registration | None) -> None:
    """An update is of the modalities that its site trains, as it registered.

    Args:
        update: the update with its claims.
        own: what the site holds, None where nobody registers.

    Raises:
        UpdateRefused: it claims others.
    """
    if own is not None and sorted(filter(None, update.modality.split(","))) != own.trained:
        raise UpdateRefused(
            f"claims to be of {update.modality or 'no modality'}, registered training cases of "
            f"{', '.join(own.trained)}"
        )


def stale_text(answered: int, current_round: int) -> str:
    """Why an update of another round than the open one is refused."""
    return f"stale: answers round {answered}, open is {current_round}"


def _screen_claims(update: Update, cases: int | None, steps: range | None) -> None:
    limit = MAX_CASES if cases is None else min(cases, MAX_CASES)
    if not 1 <= update.cases <= limit:
        bound = "registered" if limit == cases else "at most"
        raise UpdateRefused(f"claims {update.cases} training cases, {bound} {limit}")
    if not 1 <= update.steps <= MAX_STEPS:
        raise UpdateRefused(f"claims {update.steps} steps, at most {MAX_STEPS}")
    if not isinstance(update.quality, int | float) or not 0.0 <= update.quality <= 1.0 + 1e-9:
        raise UpdateRefused(f"claims a data quality of {update.quality!r:.40}, from 0 to 1")
    if steps is not None and update.steps not in steps:
        most = steps[-1] if len(steps) == 1 else f"at most {steps[-1]}"
        raise UpdateRefused(f"claims {update.steps} steps, the job's rounds have {most}")


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
        largest = float(np.abs(array).max(initial=0.0))
        if largest > MAX_VALUE:
            raise UpdateRefused(
                f"too large: '{name}' holds {largest:.3g}, beyond {MAX_VALUE:g} a model cannot "
                "be used in half precision"
            )
