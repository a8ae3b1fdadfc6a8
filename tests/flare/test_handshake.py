import json

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.signal import Signal

import fedvox
from fedvox.aggregation.registration import Registration
from fedvox.data.organs import label_map_hash
from fedvox.errors import ConfigError
from fedvox.flare.handshake import Handshake
from fedvox.flare.messages import REGISTRATION
from fedvox.flare.senders import TOKEN

REQUEST = EventType.BEFORE_PROCESS_TASK_REQUEST
ABORT = "trigger"


def registration(site: str, **values: object) -> dict[str, object]:
    own = {
        "version": fedvox.__version__,
        "label_map": label_map_hash(["liver", "spleen"]),
        "annotated": ("liver", "spleen"),
        "modalities": ("ct",),
        "cases": 4,
        "source": site,
    }
    return json.loads(json.dumps(Registration(**own | values).to_dict()))


@pytest.fixture
def arrive(server, peer):
    """A function that lets a site ask for its first task."""

    def ask(handshake: Handshake, site: str, content: object) -> None:
        if site not in server.engine.clients:
            server.engine.clients.append(site)
        request = server.context(peer=peer(site, **{REGISTRATION: content}))
        handshake.handle_event(REQUEST, request)

    return ask


def test_registration_is_read_from_the_peer_context_of_a_task_request(server, arrive):
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", cases=7))
    assert handshake.registrations["site-1"].cases == 7


@pytest.mark.parametrize("token", ["token-evil", "token-site-1x", "", None, ["token-site-1"]])
def test_nobody_registers_under_another_name(server, peer, token):
    server.engine.clients = ["site-1", "evil"]
    handshake = Handshake()
    public = {REGISTRATION: registration("site-1", cases=1), TOKEN: token}
    handshake.handle_event(REQUEST, server.context(peer=peer("site-1", **public)))
    assert handshake.registrations == {}


def test_other_events_register_nobody(server, peer):
    handshake = Handshake()
    request = server.context(peer=peer("site-1", **{REGISTRATION: registration("site-1")}))
    handshake.handle_event(EventType.START_RUN, request)
    assert handshake.registrations == {}


def test_first_registration_of_a_site_holds(arrive):
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", cases=7))
    arrive(handshake, "site-1", registration("site-1", cases=999))
    assert handshake.registrations["site-1"].cases == 7


def test_training_may_start_when_all_connected_sites_fit(server, arrive):
    server.engine.clients = ["site-1", "site-2"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", cases=3, phantom=True))
    arrive(handshake, "site-2", registration("site-2", cases=5, modalities=("mr",)))
    handshake.wait(2, server.context(), Signal())
    run = server.run()
    assert run.registered == {"site-1": 3, "site-2": 5}
    assert run.phantom
    assert run.modalities == ["ct", "mr"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"version": "0.0.1"}, f"site-1 runs fedvox 0.0.1, the server {fedvox.__version__}"),
        ({"label_map": "other"}, "site-1 has another label map"),
        ({"cases": 0}, "site-1: no usable training case"),
        ({"modalities": ("flair",)}, "site-1 holds flair, the job uses ct, mr"),
        ({"error": "no data"}, "site-1: no data"),
        ({"annotated": ("liver",)}, "no site annotates spleen"),
    ],
)
def test_unfit_site_is_refused_before_training(server, arrive, values, message):
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", **values))
    with pytest.raises(ConfigError, match=message):
        handshake.wait(1, server.context(), Signal())


def test_unfit_site_is_refused_without_waiting_for_the_others(server, arrive):
    server.engine.clients = ["site-1", "site-2"]
    handshake = Handshake(timeout=3600)
    arrive(handshake, "site-1", registration("site-1", cases=0))
    with pytest.raises(ConfigError, match="site-1: no usable training case"):
        handshake.wait(2, server.context(), Signal())


@pytest.mark.parametrize("content", [None, "hello", {"version": "1"}, {"label_map": 3}])
def test_site_without_a_readable_registration_is_refused(server, arrive, content):
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    arrive(handshake, "site-1", content)
    with pytest.raises(ConfigError, match="site-1 sent no readable registration; update its fed"):
        handshake.wait(1, server.context(), Signal())


def test_too_few_sites_are_counted_when_the_time_is_over(server, arrive):
    server.engine.clients = ["site-1"]
    handshake = Handshake(timeout=0.0)
    arrive(handshake, "site-1", registration("site-1"))
    with pytest.raises(ConfigError, match="1 of 2 needed sites registered within 0 s; check"):
        handshake.wait(2, server.context(), Signal())


def test_silent_site_does_not_stop_the_others_when_enough_have_come(server, arrive):
    server.engine.clients = ["site-1", "silent"]
    handshake = Handshake(timeout=0.0)
    arrive(handshake, "site-1", registration("site-1"))
    handshake.wait(1, server.context(), Signal())
    assert server.run().registered == {"site-1": 4}


def test_abort_ends_the_wait_without_a_verdict(server):
    abort = Signal()
    abort.trigger(ABORT)
    server.engine.clients = ["site-1"]
    handshake = Handshake(timeout=3600)
    handshake.wait(1, server.context(), abort)
    assert server.run().registered == {}
