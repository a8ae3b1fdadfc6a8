import json
from dataclasses import replace

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.signal import Signal

import fedvox
from fedvox.admission.registration import Registration
from fedvox.data.organs import label_map_hash
from fedvox.errors import ConfigError
from fedvox.flare.handshake import Handshake
from fedvox.flare.run.messages import REGISTRATION
from fedvox.flare.run.senders import TOKEN
from fedvox.job.waiting_settings import WaitingSettings

REQUEST = EventType.BEFORE_PROCESS_TASK_REQUEST
ABORT = "trigger"
MRI = {"modalities": ("mr",), "training": {"mr": 5}, "validation": {"mr": 2}}


def registration(site: str, **values: object) -> dict[str, object]:
    own = {
        "version": fedvox.__version__,
        "label_map": label_map_hash(["liver", "spleen"]),
        "annotated": ("liver", "spleen"),
        "modalities": ("ct",),
        "training": {"ct": 4},
        "validation": {"ct": 2},
        "source": site,
    }
    return json.loads(json.dumps(Registration(**own | values).to_dict()))


def wait(handshake, server, sites: int, seconds: float, abort: Signal | None = None) -> None:
    """Waits as the workflow does, with these values of ``waiting``."""
    run = server.run()
    run.job = replace(run.job, waiting=WaitingSettings(sites=sites, handshake=seconds))
    handshake.wait(server.context(), abort or Signal())


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
    arrive(handshake, "site-1", registration("site-1", training={"ct": 7}))
    assert handshake.registrations["site-1"].cases == 7


@pytest.mark.parametrize("token", ["token-evil", "token-site-1x", "", None, ["token-site-1"]])
def test_nobody_registers_under_another_name(server, peer, token):
    server.engine.clients = ["site-1", "evil"]
    handshake = Handshake()
    public = {REGISTRATION: registration("site-1", training={"ct": 1}), TOKEN: token}
    handshake.handle_event(REQUEST, server.context(peer=peer("site-1", **public)))
    assert handshake.registrations == {}


def test_other_events_register_nobody(server, peer):
    handshake = Handshake()
    request = server.context(peer=peer("site-1", **{REGISTRATION: registration("site-1")}))
    handshake.handle_event(EventType.START_RUN, request)
    assert handshake.registrations == {}


def test_training_may_start_when_all_connected_sites_fit(server, arrive):
    server.engine.clients = ["site-1", "site-2"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", training={"ct": 3}, phantom=True))
    arrive(handshake, "site-2", registration("site-2", coarse=2, **MRI))
    wait(handshake, server, 2, 3600.0)
    run = server.run()
    assert run.coarse == {"site-2": 2}
    assert run.registered == {"site-1": {"ct": 3}, "site-2": {"mr": 5}}
    assert run.phantom
    assert run.modalities == ["ct", "mr"]


OUTSIDE = {"training": {}, "annotated": (), "validation": {}, "test": {"ct": 3}, "external": True}


def test_a_site_that_only_tests_takes_part_and_trains_nothing(server, arrive):
    server.engine.clients = ["site-1", "outside"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    mr = {"modalities": ("mr",), "test": {"mr": 3}}
    arrive(handshake, "outside", registration("outside", **OUTSIDE | mr))
    wait(handshake, server, 1, 3600.0)
    run = server.run()
    assert run.registered == {"site-1": {"ct": 4}}
    assert (run.external, run.sites) == ({"outside"}, ["outside", "site-1"])
    assert run.cases == {"site-1": (2, 0), "outside": (0, 3)}
    assert run.modalities == ["ct"]
    assert run.asked_sites(["site-1", "outside"], 1) == ["site-1"]
    assert run.take_notes() == []


def test_a_modality_of_which_sites_hold_test_cases_only_is_not_one_that_was_trained(server, arrive):
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    held = {"modalities": ("ct", "mr"), "test": {"mr": 1}}
    arrive(handshake, "site-1", registration("site-1", **held))
    wait(handshake, server, 1, 3600.0)
    assert server.run().modalities == ["ct"]


def test_a_job_that_no_site_trains_is_refused_at_once(server, arrive):
    server.engine.clients = ["outside"]
    handshake = Handshake()
    arrive(handshake, "outside", registration("outside", **OUTSIDE))
    with pytest.raises(ConfigError, match="no site trains: outside only test"):
        wait(handshake, server, 1, 3600.0)


def test_a_site_that_only_tests_is_not_one_of_those_that_are_needed(server, arrive):
    server.engine.clients = ["site-1", "outside"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    arrive(handshake, "outside", registration("outside", **OUTSIDE))
    reason = "1 of 2 needed sites registered within 0 s; outside: no training, tests only; check"
    with pytest.raises(ConfigError, match=reason):
        wait(handshake, server, 2, 0.0)


def test_a_site_that_only_tests_may_come_late_and_does_not_train_after_a_restart(server, arrive):
    handshake = started(server, arrive, "site-1")
    arrive(handshake, "outside", registration("outside", **OUTSIDE))
    run = server.run()
    assert run.take_notes() == ["outside came after the start and takes part: it only tests (3 ct)"]
    arrive(handshake, "outside", registration("outside"))
    assert (run.registered, run.external) == ({"site-1": {"ct": 4}}, {"outside"})
    assert run.validation["outside"] == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"version": "0.0.1"}, f"site-1 runs fedvox 0.0.1, the server {fedvox.__version__}"),
        ({"label_map": "other"}, "site-1 has another label map"),
        ({"training": {}}, "site-1: no usable training case"),
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
        wait(handshake, server, 1, 3600.0)


def test_unfit_site_is_refused_without_waiting_for_the_others(server, arrive):
    server.engine.clients = ["site-1", "site-2"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", training={}))
    with pytest.raises(ConfigError, match="site-1: no usable training case"):
        wait(handshake, server, 2, 3600.0)


@pytest.mark.parametrize("content", [None, "hello", {"version": "1"}, {"label_map": 3}])
def test_site_without_a_readable_registration_is_refused(server, arrive, content):
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    arrive(handshake, "site-1", content)
    with pytest.raises(ConfigError, match="site-1 sent no readable registration; update its fed"):
        wait(handshake, server, 1, 3600.0)


def test_too_few_sites_are_counted_when_the_time_is_over(server, arrive):
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    with pytest.raises(ConfigError, match="1 of 2 needed sites registered within 0 s; check"):
        wait(handshake, server, 2, 0.0)


def test_silent_site_does_not_stop_the_others_when_enough_have_come(server, arrive):
    server.engine.clients = ["site-1", "silent"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    wait(handshake, server, 1, 0.0)
    assert server.run().registered == {"site-1": {"ct": 4}}


def test_abort_ends_the_wait_without_a_verdict(server):
    abort = Signal()
    abort.trigger(ABORT)
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    wait(handshake, server, 1, 3600.0, abort)
    assert server.run().registered == {}


def started(server, arrive, *sites: str) -> Handshake:
    """A handshake after whose start these sites take part."""
    server.engine.clients = list(sites)
    handshake = Handshake()
    for site in sites:
        arrive(handshake, site, registration(site))
    wait(handshake, server, 1, 0.0)
    return handshake


def test_server_knows_what_each_site_may_claim(server, arrive):
    started(server, arrive, "site-1", "site-2")
    run = server.run()
    assert run.registered == {"site-1": {"ct": 4}, "site-2": {"ct": 4}}
    assert run.validation == {"site-1": {"ct": 2}, "site-2": {"ct": 2}}
    assert run.cases == {"site-1": (2, 0), "site-2": (2, 0)}


def test_fit_site_that_comes_after_the_start_takes_part_and_is_named(server, arrive):
    handshake = started(server, arrive, "site-1")
    arrive(handshake, "late", registration("late", **MRI))
    run = server.run()
    assert run.registered == {"late": {"mr": 5}, "site-1": {"ct": 4}}
    assert run.validation["late"] == {"mr": 2}
    assert run.modalities == ["ct", "mr"]
    assert run.take_notes() == [
        "late came after the start and takes part: 5 training cases (mr), 2 mr for validation"
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"version": "0.0.1"}, "late runs fedvox 0.0.1, the server"),
        ({"label_map": "other"}, "late has another label map"),
        ({"modalities": ("flair",)}, "late holds flair, the job uses ct, mr"),
        ({"training": {}}, "late: no usable training case"),
        ({"training": {"ct": 200_000}}, "late registers 200000 cases"),
        ({"error": "no data"}, "late: no data"),
        ({"source": "site-1"}, "late and site-1 read the same data folder"),
        ({"validation": "x"}, "late sent no readable registration"),
    ],
)
def test_unfit_site_that_comes_after_the_start_is_left_out_and_the_job_goes_on(
    server, arrive, values, reason
):
    handshake = started(server, arrive, "site-1")
    for _ in range(3):  # it keeps asking for tasks
        arrive(handshake, "late", registration("late", **values))
    run = server.run()
    assert run.registered == {"site-1": {"ct": 4}}
    (note,) = run.take_notes()
    assert reason in note and note.endswith("late takes no part in the job until it is mended")
    assert server.engine.panics == []


def test_site_that_was_mended_joins_later(server, arrive):
    handshake = started(server, arrive, "site-1")
    wrong = {"training": {"flair": 2}, "modalities": ("flair",), "validation": {"flair": 1}}
    arrive(handshake, "late", registration("late", **wrong))
    arrive(handshake, "late", registration("late"))
    assert server.run().registered == {"late": {"ct": 4}, "site-1": {"ct": 4}}
    assert server.run().validation["late"] == {"ct": 2}  # and nothing of what was refused
    arrive(handshake, "late", registration("late", training={"ct": 9}))
    assert server.run().registered == {"late": {"ct": 4}, "site-1": {"ct": 4}}


def test_restarted_site_with_the_same_numbers_changes_nothing(server, arrive):
    handshake = started(server, arrive, "site-1")
    for state in ("", "aaaa", "bbbb"):
        arrive(handshake, "site-1", registration("site-1", state=state))
    assert server.run().registered == {"site-1": {"ct": 4}}
    assert server.run().take_notes() == []


def test_restarted_site_may_lose_cases_and_gains_none(server, arrive):
    handshake = started(server, arrive, "site-1")
    both = {"modalities": ("ct", "mr"), "validation": {"ct": 1, "mr": 9}}
    arrive(handshake, "site-1", registration("site-1", training={"ct": 3, "mr": 9}, **both))
    assert server.run().registered == {"site-1": {"ct": 3}}
    assert server.run().validation == {"site-1": {"ct": 1}}
    arrive(
        handshake, "site-1", registration("site-1", training={"ct": 900}, validation={"ct": 900})
    )
    assert server.run().registered == {"site-1": {"ct": 4}}
    assert server.run().validation == {"site-1": {"ct": 2}}
    now = server.run().admitted["site-1"]  # what it may speak of
    assert (now.cases, now.validation) == (900, {"ct": 900})
    assert "site-1 registered again; what counts now: 4 training" in server.run().take_notes()[-1]


def test_restarted_site_that_trains_other_modalities_only_is_left_out(server, arrive):
    handshake = started(server, arrive, "site-1", "site-2")
    arrive(handshake, "site-1", registration("site-1", **MRI))
    assert server.run().registered == {"site-2": {"ct": 4}}
    (note,) = server.run().take_notes()
    assert note.startswith("site-1 trains mr now, it was admitted with ct and no other case of it")
    arrive(handshake, "site-1", registration("site-1"))
    assert server.run().registered == {"site-1": {"ct": 4}, "site-2": {"ct": 4}}


def test_a_site_that_outweighs_all_others_is_noted_once_before_the_first_round(server, arrive):
    server.engine.clients = ["site-1", "big"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    arrive(handshake, "big", registration("big", training={"ct": 99}))
    wait(handshake, server, 2, 0.0)
    arrive(handshake, "big", registration("big", training={"ct": 99}, skipped=1))
    notes = [note for note in server.run().take_notes() if "of all" in note]
    assert len(notes) == 1 and notes[0].startswith("big registered 99 of all 103 training cases")


def test_the_job_bounds_what_a_site_may_register(party, tiny, peer):
    tiny["training"]["most_cases"] = 5
    server = party("server", job=tiny)
    server.engine.clients = ["site-1"]
    handshake = Handshake()
    public = {REGISTRATION: registration("site-1", training={"ct": 6})}
    handshake.handle_event(REQUEST, server.context(peer=peer("site-1", **public)))
    with pytest.raises(ConfigError, match="site-1 registers 6 cases, at most 5 may count"):
        wait(handshake, server, 1, 0.0)


def test_site_that_comes_back_unfit_has_no_weight_any_more(server, arrive):
    handshake = started(server, arrive, "site-1", "site-2")
    arrive(handshake, "site-2", registration("site-2", version="0.0.1"))
    assert server.run().registered == {"site-1": {"ct": 4}}


def test_site_that_changes_its_registration_at_each_request_is_read_a_few_times(server, arrive):
    handshake = started(server, arrive, "site-1")
    for number in range(1000):
        arrive(handshake, "evil", registration("evil", training={"ct": 10**9 + number}))
    assert server.run().registered == {"site-1": {"ct": 4}}
    assert len(server.run().take_notes()) <= 11


def test_connected_site_that_is_still_preparing_is_named_and_may_join(server, arrive):
    server.engine.clients = ["site-1", "slow"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    wait(handshake, server, 1, 0.0)
    (note,) = server.run().take_notes()
    assert note.startswith("slow is connected and did not register within 0 s: the job starts")
    arrive(handshake, "slow", registration("slow"))
    assert set(server.run().registered) == {"site-1", "slow"}


def test_an_organ_that_only_a_preparing_site_may_annotate_is_refused_with_its_name(server, arrive):
    server.engine.clients = ["site-1", "slow"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1", annotated=("liver",)))
    with pytest.raises(
        ConfigError, match=r"no site annotates spleen; .* slow is connected and has"
    ):
        wait(handshake, server, 1, 0.0)


def test_too_few_sites_names_the_connected_that_are_silent(server, arrive):
    server.engine.clients = ["site-1", "slow"]
    handshake = Handshake()
    arrive(handshake, "site-1", registration("site-1"))
    with pytest.raises(ConfigError, match="connected and still silent: slow; check"):
        wait(handshake, server, 2, 0.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timeout", "stands in training.json now, as 'waiting.handshake'; export the job anew"),
        ("timeuot", "its component takes no arguments"),
    ],
)
def test_an_argument_of_old_or_unknown_is_refused_by_name(name, message):
    with pytest.raises(ConfigError, match=message):
        Handshake(**{name: 5.0})
