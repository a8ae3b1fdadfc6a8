"""What may leave a site as the result of a task: weights, claims, evaluation reports, no more."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fedvox.errors import ConfigError

REPORT = frozenset(("validation", "rows", "shared"))
_TENSOR_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9.]{0,200}")
_NAME = re.compile(r"[A-Za-z][A-Za-z_]{0,39}(?:-?[0-9]{1,4})?")
_CODE = re.compile(r"(?:phantom-)?[0-9a-f]{8,64}")
_MODALITIES = re.compile(r"(?:ct|mr|t1|t1ce|t2|flair)(?:[+,](?:ct|mr|t1|t1ce|t2|flair)){0,63}|")
_MOST = 1_000_000


def _whole(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= most


def _number(low: float, high: float) -> Callable[[Any], bool]:
    """A number in a range; None, NaN and infinity say that there is none."""

    def allowed(value: Any) -> bool:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return True
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and low <= value <= high

    return allowed


def _word(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_SHARE = _number(0.0, 1.0 + 1e-9)
_CLAIM_FORMS = {
    "round": _whole(_MOST),
    "cases": _whole(_MOST),
    "steps": _whole(_MOST),
    "modality": _word(_MODALITIES),
    "loss": _number(-1e9, 1e9),
    "seconds": _number(0.0, 1e7),
    "data_wait": _SHARE,
    "down_bytes": _whole(10**12),
}
_COLUMN_FORMS = {
    "model": _word(_NAME),
    "site": _word(_NAME),
    "split": _word(re.compile("train|val|test")),
    "modality": _word(_MODALITIES),
    "case": _word(_CODE),
    "organ": _word(_NAME),
    "cases": _whole(_MOST),
    "gt_voxels": _whole(10**10),
    "dice": _SHARE,
    "dice_mean": _SHARE,
    "dice_low": _SHARE,
    "dice_high": _SHARE,
    "dice_sd": _SHARE,
    "nsd": _SHARE,
    "nsd_mean": _SHARE,
    "hd95_mm": _number(0.0, 1e5),
    "hd95_mm_mean": _number(0.0, 1e5),
    "hd95_cases": _whole(_MOST),
    "nsd_cases": _whole(_MOST),
}
CLAIMS = frozenset((*_CLAIM_FORMS, "validation"))
Signature = Mapping[str, tuple[tuple[int, ...], str]]
"""Name -> shape and type of each tensor of a model."""


def check_weights(data: Any) -> None:
    """Named floating-point arrays of at least one element, nothing else.

    Raises:
        ConfigError: something else is among them.
    """
    if not isinstance(data, Mapping) or not data:
        raise ConfigError("outgoing weights are not a mapping of arrays; nothing was sent")
    for name, array in data.items():
        if not isinstance(name, str) or not _TENSOR_NAME.fullmatch(name):
            raise ConfigError("outgoing weights hold an unusual tensor name; nothing was sent")
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise ConfigError("outgoing weights hold something that is no array; nothing was sent")
        if array.size == 0:
            raise ConfigError("outgoing weights hold an empty array; nothing was sent")


def signature_of(data: Any) -> Signature | None:
    """Shape and type of each array, by name; None for anything but a mapping of arrays."""
    if not isinstance(data, Mapping) or not data:
        return None
    if not all(isinstance(array, np.ndarray) for array in data.values()):
        return None
    return {str(name): (tuple(array.shape), array.dtype.str) for name, array in data.items()}


def check_same_model(weights: Mapping[str, np.ndarray], received: Signature) -> None:
    """The tensors that leave have the names, shapes and types of those that came, no more, no less.

    Args:
        weights: as :func:`check_weights` let them pass.
        received: the model that the site was sent.

    Raises:
        ConfigError: they differ; says in how many tensors, without their names.
    """
    own = signature_of(weights) or {}
    shared = own.keys() & received.keys()
    counts = {
        "unknown": len(own.keys() - received.keys()),
        "missing": len(received.keys() - own.keys()),
        "of another shape": sum(own[name][0] != received[name][0] for name in shared),
        "of another type": sum(own[name][1] != received[name][1] for name in shared),
    }
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if found:
        raise ConfigError(
            f"outgoing weights are not those of the received model (tensors: {found}); "
            "nothing was sent"
        )


def check_claims(claims: Any) -> None:
    """Numbers in their ranges, modalities and validation scores under known names.

    Raises:
        ConfigError: an unknown name or a value of another form.
    """
    if not isinstance(claims, Mapping) or set(claims) - CLAIMS:
        raise ConfigError("an outgoing update claims more than is known; nothing was sent")
    plain = {name: value for name, value in claims.items() if name != "validation"}
    _check_plain(plain, _CLAIM_FORMS)
    _check_scores(claims.get("validation", {}))


def check_report(
    report: Any, share_cases: bool, row_fields: frozenset[str], shared_fields: frozenset[str]
) -> None:
    """An evaluation report: validation scores and rows of the known columns.

    Args:
        report: what is about to leave.
        share_cases: False forbids per-case rows.
        row_fields: every column that a per-case row may have.
        shared_fields: every column that a summary may have.

    Raises:
        ConfigError: an unknown part, a value of another form, or per-case rows where forbidden.
    """
    if not isinstance(report, Mapping) or set(report) - REPORT:
        raise ConfigError("an outgoing report holds an unknown part; nothing was sent")
    _check_scores(report.get("validation", {}))
    rows = report.get("rows", [])
    if rows and not share_cases:
        raise ConfigError(
            "the site's policy keeps per-case rows at the site; set 'share' to summary in the site "
            "file; nothing was sent"
        )
    _check_rows(rows, row_fields)
    _check_rows(report.get("shared", []), shared_fields)


def _check_rows(rows: Any, fields: frozenset[str]) -> None:
    if not isinstance(rows, list | tuple):
        raise ConfigError("an outgoing report's rows are no list; nothing was sent")
    for row in rows:
        if not isinstance(row, Mapping) or set(row) - fields:
            raise ConfigError("an outgoing report holds an unknown column; nothing was sent")
        _check_plain(row, _COLUMN_FORMS)


def _check_scores(scores: Any) -> None:
    """Modality -> [mean Dice, number of cases]."""
    if not isinstance(scores, Mapping):
        raise ConfigError("outgoing validation scores are unreadable; nothing was sent")
    for name, pair in scores.items():
        _check_plain({"modality": name}, _COLUMN_FORMS)
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ConfigError("outgoing validation scores are unreadable; nothing was sent")
        _check_plain({"dice": pair[0], "cases": pair[1]}, _COLUMN_FORMS)


def _check_plain(values: Mapping[Any, Any], forms: Mapping[str, Callable[[Any], bool]]) -> None:
    """Each value has the type and range, or the form of words, of its field.

    Names of sites, models and organs are words with at most 4 digits at the end: a patient's name
    has that form too. They come from the federation's configuration; what a number says within its
    range nobody can tell here either.
    """
    for name, value in values.items():
        if name not in forms or not forms[name](value):
            raise ConfigError("an outgoing value is not of its field's form; nothing was sent")
