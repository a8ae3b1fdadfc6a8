import contextlib
import logging
from types import SimpleNamespace

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.fuel.f3.message import Message
from nvflare.private.fed.server.cred_keeper import CredKeeper
from nvflare.private.fed.server.fed_server import FederatedServer

from fedvox.flare.restarts.job_rescue import JobRescue


@pytest.fixture
def flare_server():
    """FLARE's server, of which only what signs is there; it does not know its certificate yet."""
    server = FederatedServer.__new__(FederatedServer)
    server.my_own_auth_client_name = server.my_own_token = "server"
    server.my_own_token_signature = None
    server.logger = logging.getLogger("server")
    server.cred_keeper = CredKeeper()
    context = SimpleNamespace(get_prop=lambda key: [{}])
    server.engine = SimpleNamespace(new_context=lambda: contextlib.nullcontext(context))
    return server


def sent(server):
    """The signature of the next message that the server sends."""
    message = Message()
    server._add_auth_headers(message)
    return message.get_header("__token_signature__")


def knows_its_certificate(server):
    server.cred_keeper.id_asserter = SimpleNamespace(sign=lambda text, **_: f"signed {text}")


def test_flare_keeps_the_placeholder_that_an_early_caller_was_sent(flare_server):
    """The reason for this room: once this fails, FLARE has mended it and it can go."""
    assert sent(flare_server) == "NA"
    knows_its_certificate(flare_server)
    assert sent(flare_server) == "NA"


def test_a_caller_before_or_during_the_start_does_not_harm_the_server(flare_server, server):
    sent(flare_server)
    fl_ctx = server.context(**{FLContextKey.SITE_OBJ: flare_server})
    JobRescue().handle_event(EventType.SYSTEM_BOOTSTRAP, fl_ctx)
    assert sent(flare_server) == "NA"
    knows_its_certificate(flare_server)
    assert sent(flare_server) == "signed serverserver"


def test_others_are_signed_for_as_ever(flare_server, server):
    fl_ctx = server.context(**{FLContextKey.SITE_OBJ: flare_server})
    JobRescue().handle_event(EventType.SYSTEM_BOOTSTRAP, fl_ctx)
    assert flare_server.sign_auth_token("site-1", "token") == "NA"
    knows_its_certificate(flare_server)
    assert flare_server.sign_auth_token("site-1", "token") == "signed site-1token"


def test_what_a_caller_leaves_late_is_forgotten_when_the_first_client_joins(flare_server, server):
    fl_ctx = server.context(**{FLContextKey.SITE_OBJ: flare_server})
    JobRescue().handle_event(EventType.SYSTEM_BOOTSTRAP, fl_ctx)
    flare_server.my_own_token_signature = "NA"
    knows_its_certificate(flare_server)
    flare_server.sign_auth_token("site-1", "token")
    assert sent(flare_server) == "signed serverserver"
