"""A server whose first caller comes too early keeps working.

FLARE's server signs what it sends, and keeps the signature of its own name for its whole life. It
listens a moment before it knows its certificate: a site or a person who knocks just then, as all
that wait for a server do while it starts again, is answered with the placeholder ``NA``. FLARE
would keep that, and nobody would get in until the next restart ("Incorrect padding").
"""

from typing import Any

_PLACEHOLDER = "NA"


def sign_when_able(server: Any) -> None:
    """Lets the server keep a signature of its own name only once it is a real one.

    Args:
        server: FLARE's ``FederatedServer``; its signature so far is forgotten.
    """
    sign = server.sign_auth_token

    def signature_of(client_name: str, token: str) -> str:
        signature = str(sign(client_name, token))
        own = client_name == server.my_own_auth_client_name
        # a caller who was half way through the old function may have left it after all
        if not own and server.my_own_token_signature == _PLACEHOLDER:
            server.my_own_token_signature = None
        # FLARE asks again for each message while the signature it has is empty
        return "" if own and signature == _PLACEHOLDER else signature

    server.sign_auth_token = signature_of
    server.my_own_token_signature = None
