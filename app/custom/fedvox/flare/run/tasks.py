"""Tasks and results: made anew with another content, and weighed as they go over the wire."""

from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.fuel.utils import fobs

_DXO, _DATA = "DXO", "data"
"""Where a message holds its content."""


def with_content(dxo: DXO, old: Shareable) -> Shareable:
    """A message with another content and the headers of the old one, which stays as it was."""
    new = Shareable()
    new.update(old)
    new[ReservedHeaderKey.HEADERS] = dict(old[ReservedHeaderKey.HEADERS])
    return dxo.update_shareable(new)


def wire_size(message: Shareable) -> int:
    """Bytes of a message as FLARE serialises it, before encryption and framing.

    Arrays are packed as NumPy files, header and bytes: they are packed empty here, and their bytes
    added, so that weighing a large model takes no memory.
    """
    dxo: Any = message.get(_DXO)
    data = dxo.get(_DATA) if isinstance(dxo, dict) else None
    if not isinstance(data, dict):
        return len(fobs.dumps(message))
    arrays = {name: array for name, array in data.items() if isinstance(array, np.ndarray)}
    empty = {name: np.empty(0, array.dtype) for name, array in arrays.items()}
    light = Shareable()
    light.update({**message, _DXO: {**dxo, _DATA: {**data, **empty}}})
    return len(fobs.dumps(light)) + sum(array.nbytes for array in arrays.values())
