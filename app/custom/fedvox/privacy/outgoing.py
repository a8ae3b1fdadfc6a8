"""What may leave a site as the result of a task: weights, claims, evaluation reports, no more."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fedvox.errors import ConfigError
from fedvox.privacy import forms, reports

_TENSOR_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9.]{0,200}")
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


def check_travelling(weights: Collection[str], travelling: Collection[str]) -> None:
    """No tensor leaves that the job keeps at the sites or that the site does not own.

    Args:
        weights: names of what would leave.
        travelling: names of what travels between this site and the server.

    Raises:
        ConfigError: says how many tensors do not travel, without their names.
    """
    staying = len(set(weights) - set(travelling))
    if staying:
        raise ConfigError(
            f"outgoing weights hold {staying} tensors that stay at the site; nothing was sent"
        )


def check_report(report: Any, form: reports.ReportForm, share_cases: bool) -> None:
    """As :func:`fedvox.privacy.reports.check_report`, at the sender.

    Raises:
        ConfigError: an unknown part, a value of another form, or per-case rows where forbidden.
    """
    with leaving("report"):
        reports.check_report(report, form, share_cases)


@contextmanager
def leaving(what: str) -> Iterator[None]:
    """Around a check of form at the sender: what fails it stays.

    Args:
        what: what is about to leave, such as ``report``.

    Raises:
        ConfigError: the check refused.
    """
    try:
        yield
    except forms.FormError as error:
        raise ConfigError(f"an outgoing {what} {error}; nothing was sent") from None
