"""What reports take from the records of rounds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def number_of(record: Mapping[str, Any], key: str) -> float:
    """A number of a record, or NaN where the record has none."""
    value = record.get(key)
    return float(value) if isinstance(value, int | float) else math.nan


def bytes_of(record: Mapping[str, Any], key: str) -> float:
    """Bytes of a record, ``bytes_up`` or ``bytes_down``; 0 where the record has none."""
    value = number_of(record, key)
    return value if math.isfinite(value) else 0.0


def mean_validation(record: Mapping[str, Any], modalities: Iterable[str] | None = None) -> float:
    """Mean validation Dice over the modalities of a round, or NaN without any.

    Args:
        record: of the round.
        modalities: those that must be there: a mean over fewer cannot be compared with the other
            rounds', so it is NaN. None takes what the round has.
    """
    own = record.get("validation") or {}
    scores = [number_of(own, key) for key in (own if modalities is None else modalities)]
    known = [score for score in scores if math.isfinite(score)]
    if not known or (modalities is not None and len(known) < len(scores)):
        return math.nan
    return sum(known) / len(known)


def training_rounds(rounds: Sequence[Mapping[str, Any]]) -> int:
    """Number of rounds that trained: the record of the final validation does not count."""
    return sum(not record.get("final") for record in rounds)
