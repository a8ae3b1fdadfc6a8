"""Tasks and results: made anew with another content, and weighed as they go over the wire."""

from nvflare.apis.dxo import DXO
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.fuel.utils import fobs


def with_content(dxo: DXO, old: Shareable) -> Shareable:
    """A message with another content and the headers of the old one, which stays as it was."""
    new = Shareable()
    new.update(old)
    new[ReservedHeaderKey.HEADERS] = dict(old[ReservedHeaderKey.HEADERS])
    return dxo.update_shareable(new)


def wire_size(message: Shareable) -> int:
    """Bytes of a message as FLARE serialises it, before encryption and framing."""
    return len(fobs.dumps(message))
