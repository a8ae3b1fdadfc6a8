"""A compressed update at the server: weights again, from what the site was sent."""

from nvflare.apis.dxo import DXO, DataKind

from fedvox.aggregation.update import Arrays
from fedvox.compression.codec import decode
from fedvox.compression.replica import moved
from fedvox.compression.schema import Schema
from fedvox.compression.threads import usable_threads
from fedvox.errors import CodecError
from fedvox.flare.run.messages import PAYLOAD, REPLICA
from fedvox.privacy.forms import FormError


def expanded(dxo: DXO, sent: Arrays, replica: str) -> DXO:
    """The update as weights, with the same claims.

    Args:
        dxo: what a site sent, untrusted.
        sent: the tensors of the global model that the site got in this round.
        replica: how a site that trained from these tensors names them.

    Raises:
        FormError: it is no compressed update of these tensors, or one of another model.
    """
    data = dxo.data if isinstance(dxo.data, dict) else {}
    payload, base = data.get(PAYLOAD), data.get(REPLICA)
    if not isinstance(payload, bytes) or not isinstance(base, str):
        raise FormError("schema: neither weights nor a compressed update")
    if base != replica:
        raise FormError("compressed update: of another model than the one of this round")
    try:
        step = decode(payload, Schema.of(sent), usable_threads())
    except CodecError as error:
        raise FormError(f"compressed update: {error}") from None
    return DXO(DataKind.WEIGHTS, data=moved(sent, step), meta=dxo.meta)
