"""Of a site's events only numbers for TensorBoard reach FLARE, made anew, and so many."""

from types import SimpleNamespace

import numpy as np
import pytest
from nvflare.apis.analytix import AnalyticsData, AnalyticsDataType, TrackConst
from nvflare.apis.client import Client
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FedEventHeader, FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.private.fed.server.server_runner import ServerRunner
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from fedvox.flare.run.senders import TOKEN
from fedvox.flare.run.site_events import (
    METRICS_EVENT,
    VALUES_PER_ROUND,
    guard_events,
    outlive_failed_sites,
)

JOB_ID = "11111111-aaaa-bbbb-cccc-222222222222"
SCALAR, PARAMETERS = AnalyticsDataType.SCALAR, AnalyticsDataType.PARAMETERS


@pytest.fixture
def send(server):
    """A function that lets a site send an event; returns what FLARE answers."""
    server.engine.clients = ["hospital-a"]
    guard_events(server.context())
    guard_events(server.context())  # a second workflow of the run
    door = server.engine.run_manager.aux_runner.topic_table[FED_EVENT_TOPIC]

    def hand(
        event: Shareable,
        site: object = "hospital-a",
        kind: object = METRICS_EVENT,
        token: object = "token-hospital-a",
    ) -> Shareable:
        event.set_peer_props({ReservedKey.IDENTITY_NAME: site, TOKEN: token, "scan": b"scan"})
        event.set_header(FedEventHeader.EVENT_TYPE, kind)
        event.set_header(FedEventHeader.TIMESTAMP, 1.0)
        if event.get_header(FedEventHeader.EVENT_ID) is None:
            event.set_header(FedEventHeader.EVENT_ID, "0" * 32)
        return door(topic=FED_EVENT_TOPIC, request=event, fl_ctx=server.context())

    return lambda *args, **more: hand(*args, **more).get_return_code()


def record(tag: object, value: object, kind=SCALAR, step: object = 1) -> Shareable:
    data = {TrackConst.TRACK_KEY: tag, TrackConst.TRACK_VALUE: value}
    data[TrackConst.GLOBAL_STEP_KEY] = step
    dxo = DXO(DataKind.ANALYTIC, data=data)
    dxo.set_meta_prop(TrackConst.DATA_TYPE_KEY, kind)
    return dxo.to_shareable()


SOUND = {
    "scalar": record("train_loss", 0.5),
    "numbers": record("fedvox", {"train_loss": float("nan"), "val_dice_t1+flair": 1}, PARAMETERS),
    "as FLARE makes it": AnalyticsData("train_loss", 0.5, SCALAR, global_step=2)
    .to_dxo()
    .to_shareable(),
    "no step": record("train_loss", 0.5, step=None),
}


@pytest.mark.parametrize("name", sorted(SOUND))
def test_numbers_reach_flare_with_nothing_beside_them(server, send, name):
    assert send(SOUND[name]) == ReturnCode.OK
    (event,) = server.engine.site_events
    assert event.get_peer_props() == {ReservedKey.IDENTITY_NAME: "hospital-a"}
    assert event.get_header(FedEventHeader.EVENT_TYPE) == METRICS_EVENT
    data = AnalyticsData.from_dxo(from_shareable(event))
    assert data.value == from_shareable(SOUND[name]).data[TrackConst.TRACK_VALUE]
    assert data.step == from_shareable(SOUND[name]).data[TrackConst.GLOBAL_STEP_KEY]


HOSTILE = {
    "text": record("note", "MUELLER", AnalyticsDataType.TEXT),
    "picture": record("scan", np.zeros((9, 9)), AnalyticsDataType.IMAGE),
    "files": record("x", {"/../../x": 1.0}, AnalyticsDataType.SCALARS),
    "no name": record(None, 1.0),
    "path": record("../../x", 1.0),
    "long name": record("x" * 10**6, 1.0),
    "formula": record("=cmd()", 1.0),
    "the server's": record("server/weight", 1.0),
    "the server's among others": record("x", {"a": 1.0, "server/weight": 1.0}, PARAMETERS),
    "text as number": record("x", "1.0"),
    "text among numbers": record("x", {"a": 1.0, "b": "MUELLER"}, PARAMETERS),
    "no numbers": record("x", [1.0], PARAMETERS),
    "nested": record("x", {"a": {"b": 1.0}}, PARAMETERS),
    "nothing": record("x", None),
    "too many": record("x", {f"v{n}": 1.0 for n in range(VALUES_PER_ROUND + 1)}, PARAMETERS),
    "step below 0": record("x", 1.0, step=-1),
    "endless step": record("x", 1.0, step=10**400),
    "weights": DXO(DataKind.WEIGHTS, data={"x": np.zeros(1)}).to_shareable(),
    "no record": Shareable(),
    "no data": DXO(DataKind.ANALYTIC, data={}).to_shareable(),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_anything_else_is_dropped(server, send, name):
    assert send(HOSTILE[name]) == ReturnCode.BAD_REQUEST_DATA
    assert server.engine.site_events == []


@pytest.mark.parametrize(
    "kind", [EventType.END_RUN, EventType.FATAL_SYSTEM_ERROR, "fed.other", None, 7]
)
def test_no_site_fires_other_events_at_the_server(server, send, kind):
    assert send(record("x", 1.0), kind=kind) == ReturnCode.BAD_REQUEST_DATA
    assert server.engine.site_events == []


@pytest.mark.parametrize("site", ["hospital-b", "../x", None, ["hospital-a"]])
def test_nobody_else_makes_a_folder_of_curves(server, send, site):
    assert send(record("x", 1.0), site=site) == ReturnCode.BAD_REQUEST_DATA


def test_nobody_writes_into_another_site_s_curves(server, send):
    server.engine.clients.append("evil")
    assert send(record("x", 1.0), token="token-evil") == ReturnCode.BAD_REQUEST_DATA


def test_a_long_id_is_not_kept(server, send):
    event = record("x", 1.0)
    event.set_header(FedEventHeader.EVENT_ID, "f" * 10**6)
    assert send(event) == ReturnCode.BAD_REQUEST_DATA


def test_a_site_streams_so_many_numbers_and_no_more(server, send):
    rounds = server.run().job.training.rounds
    values = {f"v{n}": 1.0 for n in range(VALUES_PER_ROUND)}
    codes = [send(record("x", values, PARAMETERS)) for _ in range(rounds + 2)]
    assert codes.count(ReturnCode.OK) == rounds + 1 == len(server.engine.site_events)


@pytest.mark.parametrize("code", ServerRunner.ABORT_RETURN_CODES)
def test_a_site_s_return_code_reaches_the_workflow_and_does_not_end_the_run(server, peer, code):
    heard = []
    server.engine.register_aux_message_handler = lambda **kwargs: None
    runner = ServerRunner(SimpleNamespace(task_result_filters={}), JOB_ID, server.engine)
    communicator = SimpleNamespace(
        client_is_active=lambda *args: None,
        process_submission=lambda **kwargs: heard.append(kwargs["result"].get_return_code()),
    )
    runner.current_wf = SimpleNamespace(
        id="x", controller=SimpleNamespace(communicator=communicator)
    )
    runner.status = "started"
    outlive_failed_sites(server.context(**{FLContextKey.RUNNER: runner}))
    fl_ctx = server.context(peer=peer("hospital-a"))
    runner.process_submission(Client("hospital-a", "t"), "train", "1", make_reply(code), fl_ctx)
    assert (heard, server.engine.panics) == ([code], [])
