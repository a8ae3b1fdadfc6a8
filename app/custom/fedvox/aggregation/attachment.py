"""What travels beside the weights: named arrays, one registry line for each kind.

A site lets go only what its site file lists under ``attachments``. The outgoing filter checks it
before anything leaves, the server checks it again and merges what came into its memory.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import ConfigError, UpdateRefused
from fedvox.privacy.forms import FormError
from fedvox.registry import Registry
from fedvox.suggest import hint

MOST_NUMBERS = 1_000_000
"""Numbers that all attachments of one update may hold together; the server keeps them in memory."""


@dataclass(frozen=True)
class Attachment:
    """One kind of attachment.

    Attributes:
        arrays: names of its arrays, all of them needed.
        check: ``(arrays, least)``, raises :class:`FormError` where a shape or range is wrong or
            where a number is made from fewer than ``least`` cases. It runs at the site with the
            site's own minimum (``min_cases`` of its outgoing filter) and at the server with 1.
        merge: ``(site -> its arrays, memory) -> memory``, at the server when the round is closed;
            sites come in the order of their names.
    """

    arrays: frozenset[str]
    check: Callable[[Arrays, int], None]
    merge: Callable[[Mapping[str, Arrays], Memory], Memory]


ATTACHMENTS: Registry[Attachment] = Registry("attachment")


def check_listed(listed: Collection[str], where: str) -> None:
    """When a site starts: its file lists what there is, so that a slip is not found by its silence.

    Args:
        listed: ``attachments`` of the site file.
        where: the file, as messages name it.

    Raises:
        ConfigError: an unknown name.
    """
    for name in listed:
        if name not in ATTACHMENTS:
            known = ", ".join(ATTACHMENTS)
            raise ConfigError(
                f"{where}: 'attachments' names {name!r}; {hint(name, ATTACHMENTS)}"
                + (f"allowed: {known}" if known else "this version has none, leave the list empty")
            )


def check_attached(attached: Any, least: int = 1) -> None:
    """Known attachments of finite numbers that pass their own check.

    Args:
        attached: name -> array name -> array.
        least: cases that must stand behind each number.

    Raises:
        FormError: something else; quotes no name that is not registered.
    """
    if not isinstance(attached, Mapping) or any(name not in ATTACHMENTS for name in attached):
        raise FormError("holds an unknown attachment")
    total = 0
    for name, arrays in attached.items():
        known = ATTACHMENTS[name]
        if not isinstance(arrays, Mapping) or set(arrays) != known.arrays:
            raise FormError(f"holds other arrays than '{name}' has")
        for array in arrays.values():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise FormError(f"holds something in '{name}' that is no array of numbers")
            total += array.size
        if total > MOST_NUMBERS:
            raise FormError("holds more numbers beside the weights than may travel")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FormError(f"holds NaN or infinite values in '{name}'")
        known.check(arrays, least)


def check_leaving(attached: Any, listed: Collection[str], least: int) -> None:
    """At the site: as :func:`check_attached`, and listed by the site.

    Args:
        attached: name -> array name -> array.
        listed: ``attachments`` of the site file.
        least: the site's own minimum of cases behind each number.

    Raises:
        FormError: something else, or an attachment that the site does not list.
    """
    check_attached(attached, least)
    for name in attached:
        if name not in listed:
            raise FormError(f"holds '{name}', which 'attachments' of the site file does not list")


def screen_attached(attached: Any) -> None:
    """At the server: as :func:`check_attached`.

    Raises:
        UpdateRefused: with the reason, for the round's record.
    """
    try:
        check_attached(attached)
    except FormError as error:
        raise UpdateRefused(f"attachment: {error}") from None


def merge_attached(updates: Mapping[str, Update], memory: Memory) -> Memory:
    """The memory after what the accepted updates of a round brought beside their weights."""
    for name in ATTACHMENTS:
        own = {s: updates[s].attached[name] for s in sorted(updates) if name in updates[s].attached}
        if own:
            memory = ATTACHMENTS[name].merge(own, memory)
    return memory
