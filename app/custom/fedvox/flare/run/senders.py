"""Who sent a message: not whom its context names, but whose token came with it.

FLARE checks a token with each message, then hands components the context that the sender wrote. A
result of a task comes with its client; a registration and an event come with the context only, so
sites put their token into it, which goes to the server with every message anyway.
"""

from typing import Any

from nvflare.apis.fl_constant import ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

TOKEN = "fedvox_token"
_CODES = {value for name, value in vars(ReturnCode).items() if name.isupper()}


def publish_token(fl_ctx: FLContext) -> None:
    """At a site's start: lets the server compare its name with its token."""
    engine: Any = fl_ctx.get_engine()
    fl_ctx.set_prop(TOKEN, str(engine.client.token), private=False, sticky=True)


def is_sender(site: object, token: object, fl_ctx: FLContext) -> bool:
    """Did the server give this token to this site? Asks the clients that take part.

    Args:
        site: name that a context claims; it may be anything that travels.
        token: token in the same context; likewise.
        fl_ctx: a context of the server.
    """
    if not isinstance(site, str) or not isinstance(token, str):
        return False  # an array would be compared element by element
    clients = fl_ctx.get_engine().get_clients()
    return any(client.name == site and client.token == token for client in clients)


def authenticate(site: str, result: Shareable, fl_ctx: FLContext) -> None:
    """Puts the authenticated name in the place of the one that the sender claims.

    An unknown return code, whose text FLARE would log, becomes that of a failed task.

    Args:
        site: the sender's name as the transport knows it.
        result: what it sent.
        fl_ctx: context of the message.
    """
    peer = fl_ctx.get_peer_context()
    peer = peer if isinstance(peer, FLContext) else FLContext()
    peer.props.pop(ReservedKey.IDENTITY_NAME, None)
    peer.set_prop(ReservedKey.IDENTITY_NAME, site, private=False, sticky=False)
    fl_ctx.set_peer_context(peer)
    code = result.get_return_code()
    if code is not None and (not isinstance(code, str) or code not in _CODES):
        result.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
