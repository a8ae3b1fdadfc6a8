"""A site's update as the server sees it: arrays and the claims that come with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fedvox.aggregation.claims import Claims

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Update(Claims):
    """One site's result of one round. Nothing in it is trusted before it is screened.

    Attributes:
        site: the name under which the transport authenticated the sender.
        arrays: weights after local training.
        training: modality -> training cases that the site registered, written by the server; empty
            where nobody registers.
        sent: names of the tensors that wait at the server, written by it.
        attached: what travels beside the weights: name of
            :data:`fedvox.aggregation.attachment.ATTACHMENTS` -> its arrays.
    """

    site: str
    arrays: Arrays
    training: Mapping[str, int] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()
    attached: Mapping[str, Arrays] = field(default_factory=dict)


def distance(arrays: Arrays, model: Arrays) -> float:
    """``‖arrays − model‖`` over all tensors of the model, in float64."""
    squares = (
        float(np.square(arrays[n].astype(np.float64) - model[n].astype(np.float64)).sum())
        for n in model
    )
    return float(np.sqrt(sum(squares)))


def entries_of(arrays: Arrays) -> int:
    """Numbers in all arrays."""
    return sum(array.size for array in arrays.values())


def size_of(arrays: Arrays) -> int:
    """Bytes of all arrays."""
    return sum(array.nbytes for array in arrays.values())


def shortened(array: np.ndarray, model: np.ndarray, share: float) -> np.ndarray:
    """A share of the way from the model's tensor to a site's; of the whole way, that very array."""
    if share == 1.0:
        return array
    start = model.astype(np.float64)
    short: np.ndarray = (start + share * (array.astype(np.float64) - start)).astype(array.dtype)
    return short
