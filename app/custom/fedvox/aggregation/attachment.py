"""What travels beside the weights: named arrays, one registry line for each kind.

A site lets go only what its site file lists under ``attachments``. The outgoing filter checks it
before anything leaves, the server checks it again and merges what came into its memory.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedvox.aggregation import prototypes
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.errors import ConfigError, UpdateRefused
from fedvox.networks.settings import NetworkSettings
from fedvox.privacy.forms import FormError
from fedvox.registry import Registry
from fedvox.suggest import hint

PROTOTYPES = "prototypes"
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
        merge: ``(site -> its arrays, memory, settings of the job's network) -> memory``, at the
            server when the round is closed; sites come in the order of their names.
        cut: ``(arrays, least) -> arrays``, at the site before the check: leaves out the numbers
            that are made from fewer than ``least`` cases, so that the rest may leave.
        fits: ``(arrays, model, training cases by modality)``, at the server: raises
            :class:`UpdateRefused` where they are not of this model or not the site's to tell.
        tensors: ``memory -> tensors`` of the global model that follow from it, in place of the
            sites' mean.
    """

    arrays: frozenset[str]
    check: Callable[[Arrays, int], None]
    merge: Callable[[Mapping[str, Arrays], Memory, NetworkSettings], Memory]
    cut: Callable[[Arrays, int], Arrays] = lambda arrays, least: arrays
    fits: Callable[[Arrays, Arrays, Mapping[str, int] | None], None] = lambda *told: None
    tensors: Callable[[Memory], Arrays] = lambda memory: {}


ATTACHMENTS: Registry[Attachment] = Registry("attachment")
ATTACHMENTS.register(PROTOTYPES)(
    Attachment(
        frozenset((prototypes.MODALITY, prototypes.SUMS, prototypes.VOXELS, prototypes.CASES)),
        prototypes.check,
        prototypes.merge,
        prototypes.cut,
        prototypes.fits,
        prototypes.tensors,
    )
)


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
    _check_arrays(attached)
    for name, arrays in attached.items():
        ATTACHMENTS[name].check(arrays, least)


def _check_arrays(attached: Any) -> None:
    """Known attachments of finite numbers, not too many."""
    if not isinstance(attached, Mapping) or any(name not in ATTACHMENTS for name in attached):
        raise FormError("holds an unknown attachment")
    total = 0
    for name, arrays in attached.items():
        if not isinstance(arrays, Mapping) or set(arrays) != ATTACHMENTS[name].arrays:
            raise FormError(f"holds other arrays than '{name}' has")
        for array in arrays.values():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise FormError(f"holds something in '{name}' that is no array of numbers")
            total += array.size
        if total > MOST_NUMBERS:
            raise FormError("holds more numbers beside the weights than may travel")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FormError(f"holds NaN or infinite values in '{name}'")


def leaving(attached: Any, listed: Collection[str], least: int) -> dict[str, dict[str, np.ndarray]]:
    """At the site: what of it may leave, without the numbers that too few cases stand behind.

    Args:
        attached: name -> array name -> array.
        listed: ``attachments`` of the site file.
        least: the site's own minimum of cases behind each number.

    Raises:
        FormError: something else than known attachments of their form, or one that the site does
            not list.
    """
    check_attached(attached)
    for name in attached:
        if name not in listed:
            raise FormError(f"holds '{name}', which 'attachments' of the site file does not list")
    kept = {name: dict(ATTACHMENTS[name].cut(own, least)) for name, own in attached.items()}
    check_attached(kept, least)
    return kept


def screen_attached(attached: Any, model: Arrays, held: Mapping[str, int] | None) -> None:
    """At the server: as :func:`check_attached`, and of this model and this site.

    Args:
        attached: name -> array name -> array.
        model: the global model.
        held: modality -> training cases of the site, as it registered; None where nobody registers.

    Raises:
        UpdateRefused: with the reason, for the round's record.
    """
    try:
        check_attached(attached)
    except FormError as error:
        raise UpdateRefused(f"attachment: {error}") from None
    for name, arrays in attached.items():
        ATTACHMENTS[name].fits(arrays, model, held)


def merge_attached(
    updates: Mapping[str, Update], memory: Memory, network: NetworkSettings
) -> Memory:
    """The memory after what the accepted updates of a round brought beside their weights."""
    for name in ATTACHMENTS:
        own = {s: updates[s].attached[name] for s in sorted(updates) if name in updates[s].attached}
        if own:
            memory = ATTACHMENTS[name].merge(own, memory, network)
    return memory


def silence(updates: Mapping[str, Update], network: NetworkSettings) -> list[str]:
    """A note where the network has a memory and no site of a round told it anything.

    Args:
        updates: the accepted ones.
        network: the job's.
    """
    found = (own.attached.get(PROTOTYPES) for own in updates.values())
    if not (updates and network.has_memory) or any(a and a[prototypes.VOXELS].any() for a in found):
        return []
    return [
        f"no site told {PROTOTYPES}, so what is missing is left out; a site tells them if its site "
        f"file lists {PROTOTYPES} under 'attachments' and enough of its training cases hold an "
        "organ ('network.fewest_cases', and 'min_cases' of the site's policy)"
    ]


def attached_tensors(memory: Memory, model: Arrays) -> dict[str, np.ndarray]:
    """The tensors of a global model that follow from the memory, in the model's types."""
    found = {n: a for name in ATTACHMENTS for n, a in ATTACHMENTS[name].tensors(memory).items()}
    return {n: np.asarray(a, model[n].dtype) for n, a in found.items() if n in model}
