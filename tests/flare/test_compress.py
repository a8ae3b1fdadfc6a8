"""Compression on the way: a site's filters and the server's, task by task."""

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.app_constant import AppConstants

from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.left_out import remember_counted
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.traffic import Traffic
from fedvox.compression.replica import replica_of
from fedvox.errors import ConfigError
from fedvox.flare.compress import ReceiveModel, SendUpdate, publish_replica
from fedvox.flare.downlink import CountResults, SendModel
from fedvox.flare.run.expand import expanded
from fedvox.flare.run.messages import COUNTED, META, PAYLOAD, REPLICA, STEPS, TASK_TRAIN
from fedvox.flare.run.places import load_job
from fedvox.flare.run.site_setup import find_site
from fedvox.flare.run.tasks import wire_size, with_content
from fedvox.privacy.forms import FormError
from fedvox.training.state import load_residual

KEEP = {"keep": 0.2}


@pytest.fixture(autouse=True)
def packing(serialised):
    """Messages are weighed as FLARE's processes pack them."""


@pytest.fixture
def tiny(tiny):
    return tiny | {"compression": {"up": KEEP, "down": KEEP, "small": 8}}


@pytest.fixture
def held(site):
    """A function to what the server sees of the site: the name of what it holds."""

    def name() -> str:
        return str(site.context().get_prop(REPLICA))

    return name


@pytest.fixture
def started(site):
    """A site whose process has started."""
    fl_ctx = site.context()
    publish_replica(fl_ctx, load_job(fl_ctx))
    return site


@pytest.fixture
def closed(server, weights):
    """The server after round 0: the model of version 1, with the messages that lead to it."""
    run = server.run()
    run.admitted = {}
    server.engine.clients = ["site-1"]
    mean = {name: array + np.float32(0.01) for name, array in weights.items()}
    step = Downlink(run.job.compression, run.job.training.rounds).step
    model, memory = step(0, weights, mean, Memory())
    record = {"round": 0, "scores": {}}
    run.state.finish_round(weights, model, record, memory)
    return model


def down(server, peer, task: Shareable, holds: str, site: str = "site-1") -> Shareable:
    fl_ctx = server.context(peer=peer(site, **{REPLICA: holds}))
    fl_ctx.set_prop(FLContextKey.TASK_NAME, TASK_TRAIN, private=True, sticky=False)
    return SendModel().process(task, fl_ctx)


def received(site, task: Shareable) -> dict[str, np.ndarray]:
    return from_shareable(ReceiveModel().process(task, site.context())).data


def test_a_site_that_starts_holds_the_initial_model_and_is_sent_nothing(
    server, started, peer, held, weights, train_task
):
    server.engine.clients = ["site-1"]
    task = down(server, peer, train_task(weights), held())
    content = from_shareable(task)
    assert content.data_kind == DataKind.APP_DEFINED and content.data[STEPS] == []
    model = received(started, task)
    assert replica_of(0, model) == replica_of(0, weights)
    assert server.run().ledger.take(TASK_TRAIN)["site-1"].down < 2000


def test_steps_lead_to_the_server_s_model(server, started, peer, held, weights, closed, train_task):
    received(started, train_task(weights))
    task = down(server, peer, train_task(closed, 1), held())
    assert set(from_shareable(task).data) == {REPLICA, STEPS}
    model = received(started, task)
    assert replica_of(1, model) == replica_of(1, closed) == held()


def test_a_task_that_is_sent_again_brings_the_same_model(
    server, started, peer, held, weights, closed, train_task
):
    received(started, train_task(weights))
    task = train_task(closed, 1)
    first = received(started, down(server, peer, task, held()))
    again = down(server, peer, task, held())
    assert from_shareable(again).data[STEPS] == []
    assert replica_of(1, received(started, again)) == replica_of(1, first)


def test_what_is_shared_between_sites_is_not_changed(server, peer, closed, weights, train_task):
    task = train_task(closed, 1)
    assert down(server, peer, task, replica_of(0, weights)) is not task
    assert set(from_shareable(task).data) == set(closed)


ODD = [
    "",
    "0:" + "0" * 32,
    "1:x",
    None,
    7,
    np.array(["0:x", "1:x"]),
    {"a": 1},
    pytest.param(10**5000, id="endless"),
]


@pytest.mark.parametrize("holds", ODD)
def test_whoever_holds_something_else_gets_the_model_whole(
    server, peer, closed, train_task, started, holds
):
    task = down(server, peer, train_task(closed, 1), holds)
    assert from_shareable(task).data_kind == DataKind.WEIGHTS
    assert replica_of(1, received(started, task)) == replica_of(1, closed)


def test_a_site_that_was_started_again_still_holds_its_version(
    party, site, started, peer, held, closed, train_task
):
    received(started, train_task(closed, 1))
    name = held()
    fresh = site.manager.__class__(site.engine, "site-1", str(site.context().get_job_id()))
    site.manager = fresh
    fl_ctx = site.context()
    assert fl_ctx.get_prop(REPLICA) is None
    publish_replica(fl_ctx, load_job(fl_ctx))
    assert held() == name == replica_of(1, closed)


def test_steps_that_lead_elsewhere_are_refused_and_the_next_task_comes_whole(
    server, started, peer, held, weights, closed, train_task
):
    received(started, train_task(weights))
    task = down(server, peer, train_task(closed, 1), held())
    content = from_shareable(task)
    content.data[REPLICA] = replica_of(1, weights)
    with pytest.raises(ConfigError, match="the next task brings it whole"):
        received(started, with_content(content, task))
    assert held() == ""
    whole = down(server, peer, train_task(closed, 1), held())
    assert replica_of(1, received(started, whole)) == replica_of(1, closed)


def trained(weights, shift: float = 0.02) -> Shareable:
    data = {name: array + np.float32(shift) for name, array in weights.items()}
    return DXO(DataKind.WEIGHTS, data=data, meta={META: {"cases": 3}}).to_shareable()


def test_an_update_is_a_payload_from_which_the_server_reads_weights(
    server, started, weights, train_task
):
    received(started, train_task(weights))
    result = SendUpdate().process(trained(weights), started.context())
    content = from_shareable(result)
    assert set(content.data) == {REPLICA, PAYLOAD} and content.meta[META] == {"cases": 3}
    read = expanded(content, weights, replica_of(0, weights))
    assert read.data_kind == DataKind.WEIGHTS and set(read.data) == set(weights)
    assert read.meta[META] == {"cases": 3}
    moved = [abs(read.data[n] - array) for n, array in weights.items()]
    assert max(part.max() for part in moved) > 0.01
    assert min(part.min() for part in moved if part.size > 8) == 0


HERE = {REPLICA: "0:x"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "neither weights nor a compressed update"),
        ([], "neither weights nor a compressed update"),
        ({PAYLOAD: b""}, "neither weights nor a compressed update"),
        (HERE | {PAYLOAD: "text"}, "neither weights nor a compressed update"),
        ({REPLICA: np.array(["0:x", "0:x"]), PAYLOAD: b""}, "neither weights nor"),
        ({REPLICA: "1:x", PAYLOAD: b""}, "of another model than the one of this round"),
        (HERE | {PAYLOAD: b""}, "cut off"),
        (HERE | {PAYLOAD: b"FVXC" + b"\0" * 64}, "damaged"),
    ],
)
def test_a_hostile_payload_is_refused_by_its_form(weights, data, words):
    with pytest.raises(FormError, match=words):
        expanded(DXO(DataKind.APP_DEFINED, data=data), weights, "0:x")


def test_failures_and_jobs_without_compression_pass_through(
    party, started, weights, train_task, tiny
):
    failed = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    assert SendUpdate().process(failed, started.context()) is failed
    plain = party("site-9", job={k: v for k, v in tiny.items() if k != "compression"})
    task, result = train_task(weights), trained(weights)
    assert ReceiveModel().process(task, plain.context()) is task
    assert SendUpdate().process(result, plain.context()) is result


def test_an_update_without_the_task_s_filter_names_it(site, weights):
    with pytest.raises(ConfigError, match=r"fedvox\.flare\.compress\.ReceiveModel"):
        SendUpdate().process(trained(weights), site.context())


def test_every_message_is_weighed_under_the_name_of_its_sender(server, peer, weights):
    server.engine.clients = ["site-1"]
    result = trained(weights)
    result.set_header(AppConstants.CURRENT_ROUND, 0)
    for name in ("site-1", "site-1", "stranger"):
        fl_ctx = server.context(peer=peer(name))
        fl_ctx.set_prop(FLContextKey.TASK_NAME, "validate", private=True, sticky=False)
        assert CountResults().process(result, fl_ctx) is result
    size = wire_size(result)
    taken = server.run().ledger.take("validate")
    assert taken == {"site-1": Traffic(up=2 * size), "": Traffic(up=size)}
    assert server.run().ledger.take("validate") == {}


def test_a_site_whose_update_did_not_count_starts_without_what_it_left_out(
    server, started, peer, held, weights, closed, train_task
):
    received(started, train_task(weights))
    SendUpdate().process(trained(weights), started.context())
    state = find_site(started.context(), load_job(started.context()))[1]
    assert load_residual(state, 1)
    run = server.run()
    memory = remember_counted(run.state.load_memory(), 0, {"site-1"}, (), {})
    record = {"round": 1, "scores": {}}
    run.state.finish_round(closed, closed, record, memory)
    task = train_task(closed, 2)
    sent = down(server, peer, task, "")
    assert sent is not task and task.get_header(COUNTED) is None
    assert down(server, peer, task, "", "site-2").get_header(COUNTED) is None
    received(started, sent)
    assert load_residual(state, 2) == {}
