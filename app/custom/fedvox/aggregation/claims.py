"""What a site says of its update: each claim is declared once, in :class:`Claims`.

From that line follow what a site packs, the form that its outgoing filter and the server check, the
attribute of :class:`fedvox.aggregation.update.Update`, and the key in ``rounds.jsonl``.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedvox.privacy.forms import (
    Form,
    FormError,
    check_fields,
    check_scores,
    given,
    modalities_of,
    number,
    one_of,
    share,
    whole,
)
from fedvox.privacy.noise_settings import UNITS

Scores = Mapping[str, tuple[float, int]]
"""Modality -> (mean Dice, cases)."""


@dataclass(frozen=True)
class PerJob:
    """A form that depends on the job.

    Attributes:
        make: the job's modalities -> form.
    """

    make: Callable[[Collection[str]], Form]


def claim(
    form: Form | PerJob,
    default: Any,
    *,
    record: str | None = None,
    digits: int | None = None,
    read: Callable[[Any], Any] | None = None,
    optional: bool = False,
) -> Any:
    """Declares one claim.

    Args:
        form: what its value must be like, at the sender and at the server.
        default: its value where the site claims none.
        record: its key under ``contributors`` in ``rounds.jsonl``; without it, no key.
        digits: decimal places on record, all where None.
        read: how its value is rebuilt at the server; None where it arrives as it is.
        optional: has no place on record where the site claims none.
    """
    metadata = {"form": form, "record": record, "digits": digits, "read": read}
    metadata["optional"] = optional
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def scores_of(modalities: Collection[str]) -> Form:
    """Validation scores of the job's modalities; a refusal says by itself what is wrong.

    Raises:
        FormError: when the form is asked, as :func:`fedvox.privacy.forms.check_scores` does.
    """

    def allowed(scores: Any) -> bool:
        check_scores(scores, modalities)
        return True

    return allowed


def read_scores(scores: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    """Validation scores of a known form: modality -> (mean Dice, cases)."""
    return {name: (min(float(dice), 1.0), cases) for name, (dice, cases) in scores.items()}


def _number(claimed: float | None) -> float:
    """A claimed number, NaN where there is none."""
    return math.nan if claimed is None else float(claimed)


def _quality(claimed: float) -> float:
    """A claimed share of a known form, at most 1."""
    return min(float(claimed), 1.0)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a site says of its update; nothing of it is trusted before it is screened.

    Attributes:
        round: the round that it answers, from 0; the server takes the one of the transport.
        cases: training cases.
        steps: optimiser steps.
        modality: modality sets that the site trained, with commas between them.
        loss: mean loss of the local round.
        seconds: wall time of local training.
        data_wait: share of it in which training waited for patches, 0 to 1.
        quality: of the site's training data, 0 to 1; 1 where the job's rule of weights asks for
            none.
        validation: modality -> (mean Dice, cases) of the received model on validation cases.
        epsilon: what the site has spent with its noise, this update included; NaN without noise.
        delta: the probability with which that may fail.
        unit: whom that hides, one of all cases of the site or each; empty without noise.
    """

    round: int = claim(whole(), 0)
    cases: int = claim(whole(), 0)
    steps: int = claim(whole(), 0, record="steps")
    modality: str = claim(PerJob(modalities_of), "", record="modality")
    loss: float = claim(
        number(-1e9, 1e9, infinite=True), math.nan, record="train_loss", read=_number
    )
    seconds: float = claim(number(0.0, 1e7), 0.0, record="train_seconds", digits=3, read=_number)
    data_wait: float = claim(share(), math.nan, record="data_wait", digits=4, read=_number)
    quality: float = claim(given(share()), 1.0, record="quality", digits=4, read=_quality)
    validation: Scores = claim(PerJob(scores_of), {}, read=read_scores)
    epsilon: float = claim(
        number(0.0, 1e15), math.nan, record="epsilon", digits=4, read=_number, optional=True
    )
    delta: float = claim(number(0.0, 1.0), math.nan, record="delta", read=_number, optional=True)
    unit: str = claim(one_of(("", *UNITS)), "", record="unit", optional=True)


def claims_of(own: Claims) -> dict[str, Any]:
    """Claims as plain values, as they travel."""
    return {field.name: _plain(getattr(own, field.name)) for field in _declared()}


def check_claims(claims: Any, modalities: Collection[str]) -> None:
    """Known names with values of their forms; what is not claimed is not looked at.

    Args:
        claims: what an update says of itself.
        modalities: the job's.

    Raises:
        FormError: an unknown name or a value of another form.
    """
    forms = {field.name: field.metadata["form"] for field in _declared()}
    if not isinstance(claims, Mapping) or not set(claims) <= set(forms):
        raise FormError("claims more than is known")
    own = {n: f.make(modalities) if isinstance(f, PerJob) else f for n, f in forms.items()}
    check_fields(claims, own, "claims:")


def read_claims(claims: Any, modalities: Collection[str]) -> dict[str, Any]:
    """Arguments of :class:`Claims`, from what arrived.

    Raises:
        FormError: as :func:`check_claims`.
    """
    check_claims(claims, modalities)
    reads = {field.name: field.metadata["read"] for field in _declared()}
    return {n: v if reads[n] is None else reads[n](v) for n, v in claims.items()}


def recorded(own: Claims) -> dict[str, Any]:
    """The claims that stand in a round's record, under their keys; no number is None."""
    told = {
        field: _finite(getattr(own, field.name), field.metadata["digits"])
        for field in _declared()
        if field.metadata["record"]
    }
    return {
        field.metadata["record"]: value
        for field, value in told.items()
        if value not in (None, "") or not field.metadata["optional"]
    }


def _declared() -> Iterator[dataclasses.Field[Any]]:
    return iter(dataclasses.fields(Claims))


def _plain(value: Any) -> Any:
    """A value without tuples and foreign mappings."""
    if isinstance(value, Mapping):
        return {name: _plain(own) for name, own in value.items()}
    return [_plain(own) for own in value] if isinstance(value, tuple | list) else value


def _finite(value: Any, digits: int | None) -> Any:
    """A claimed value as JSON can hold it."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
