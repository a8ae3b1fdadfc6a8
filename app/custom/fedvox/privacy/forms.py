"""Forms of what travels beside the weights, declared once: sites check before they send, the server
before it believes.

Names are compared with those that the reader knows already (the site's own, the task's model, the
job's organs and modalities), never with a pattern. A refusal says which part is wrong and quotes
nothing of it.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fedvox.errors import FedVoxError

MOST = 1_000_000
"""The largest number of cases, steps or rounds that anything may speak of."""
SETS = 64
"""Modality sets that one site may hold."""
SPLITS = ("train", "val", "test")

Form = Callable[[Any], bool]


class FormError(FedVoxError):
    """Something that travels is not of its known form; the message names the part only."""


def whole(most: int = MOST) -> Form:
    """A whole number from 0; True and False are none, nor is a number of numpy."""
    return lambda value: type(value) is int and 0 <= value <= most


def number(low: float, high: float, infinite: bool = False) -> Form:
    """A number in a range; None and NaN say that there is none.

    Args:
        low, high: bounds of the range.
        infinite: an infinite number counts as none too.
    """

    def allowed(value: Any) -> bool:
        if value is None:
            return True
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return infinite or math.isnan(value)
        return low <= value <= high

    return allowed


def share() -> Form:
    """A number from 0 to 1, by a rounding error above it at most."""
    return number(0.0, 1.0 + 1e-9)


def given(form: Form) -> Form:
    """A value of a form that allows none: here there must be one, neither None nor NaN."""

    def allowed(value: Any) -> bool:
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        return not missing and form(value)

    return allowed


def word(pattern: str) -> Form:
    """A text that is wholly of a pattern; the pattern bounds its length."""
    form = re.compile(pattern)
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def one_of(known: Collection[str]) -> Form:
    """One of some known words."""
    return lambda value: isinstance(value, str) and value in known


def text(longest: int) -> Form:
    """Printable text, blanks included, of at most so many letters."""
    return lambda value: isinstance(value, str) and len(value) <= longest and value.isprintable()


def modality_set(known: Collection[str]) -> Form:
    """A modality as it stands in tables: ``ct``, or several channels of a case as ``t1+flair``."""

    def allowed(value: Any) -> bool:
        if not isinstance(value, str) or len(value) > 100:
            return False
        parts = value.split("+")
        return len(set(parts)) == len(parts) and all(part in known for part in parts)

    return allowed


def modalities_of(known: Collection[str]) -> Form:
    """What a site trained: modality sets of the job with commas between them, or nothing."""

    def allowed(value: Any) -> bool:
        if not isinstance(value, str) or len(value) > 2000:
            return False
        parts = value.split(",") if value else []
        return len(set(parts)) == len(parts) and all(part in known for part in parts)

    return allowed


def several(form: Form, most: int) -> Form:
    """A list of at most so many different values of a form."""

    def allowed(values: Any) -> bool:
        if not isinstance(values, list | tuple) or len(values) > most:
            return False
        return all(form(value) for value in values) and len(set(values)) == len(values)

    return allowed


def counts(form: Form, most: int) -> Form:
    """Whole numbers under at most so many names of a form."""
    count = whole()

    def allowed(values: Any) -> bool:
        if not isinstance(values, Mapping) or len(values) > most:
            return False
        return all(form(name) and count(value) for name, value in values.items())

    return allowed


CODE = word("(?:phantom-)?[0-9a-f]{8,64}")
"""A case: keyed fingerprint of its voxels, never a file name."""


def check_scores(
    scores: Any, modalities: Collection[str], most: Callable[[str], int] = lambda modality: MOST
) -> None:
    """Modality -> (mean Dice, number of cases).

    Args:
        scores: validation scores of one site.
        modalities: the job's.
        most: modality -> validation cases that the site has at most.

    Raises:
        FormError: something else.
    """
    if not isinstance(scores, Mapping) or len(scores) > SETS:
        raise FormError("holds unreadable validation scores")
    for modality, pair in scores.items():
        if modality not in modalities:
            raise FormError("holds validation scores of another modality")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise FormError("holds unreadable validation scores")
        if pair[0] is None or not share()(pair[0]) or math.isnan(pair[0]):
            raise FormError("holds a validation Dice outside 0 to 1")
        if not whole(most(modality))(pair[1]):
            raise FormError("speaks of more validation cases than there are")


def check_fields(values: Mapping[Any, Any], forms: Mapping[str, Form], what: str) -> None:
    """Each value has the form of its field.

    Args:
        values: field -> value.
        forms: field -> form.
        what: how the error begins, such as ``holds a row whose``.

    Raises:
        FormError: a field is unknown, or its value of another form; the field is named if known.
    """
    for name, value in values.items():
        if name not in forms:
            raise FormError(f"{what} field is unknown")
        if not forms[name](value):
            raise FormError(f"{what} '{name}' is not of its form")
