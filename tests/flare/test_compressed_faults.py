"""Compressed rounds under faults: real filters, FLARE's bytes in between, no processes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.fuel.utils import fobs

from fedvox.compression.replica import replica_of
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.compress import ReceiveModel, SendUpdate, publish_replica
from fedvox.flare.downlink import CountResults, OwnPart, SendModel
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.persistor import SafetensorsPersistor
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run.messages import META, REPLICA, TASK_TRAIN
from fedvox.flare.run.places import load_job
from fedvox.flare.run.senders import authenticate, publish_token
from fedvox.seeding import derive_seed
from fedvox.tensors import weights_hash

ROUNDS = 4
SITES = ("site-1", "site-2", "site-3")
CLAIMS = {"cases": 3, "steps": 1, "modality": "ct"}


@pytest.fixture
def tiny(tiny):
    tiny["training"]["rounds"] = ROUNDS
    tiny["training"]["server_momentum"] = 0.5
    link = {"keep": 0.1}
    return tiny | {"compression": {"up": link, "down": link, "small": 8, "warmup": 1}}


@dataclass
class Course:
    """A run of one server and its sites, message by message.

    Attributes:
        new: from a participant's name to it, as a new process finds its folders.
        packed: a message as bytes.
        sent: bytes of all messages of the open round.
        whole: sites and rounds that got the model whole.
    """

    new: Callable
    packed: Callable[[Shareable], bytes]
    sent: int = 0
    whole: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sites = {}
        for name in SITES:
            self.start_site(name)
        self.start_server()

    def start_site(self, name: str) -> None:
        self.sites[name] = self.new(name)
        fl_ctx = self.sites[name].context()
        publish_token(fl_ctx)
        publish_replica(fl_ctx, load_job(fl_ctx))

    def start_server(self) -> None:
        """Begins, or goes on where the state on disk ends."""
        self.server = self.new("server")
        self.server.engine.clients = list(SITES)
        self.server.run().registered = {name: {"ct": 3} for name in SITES}
        self.model: ModelLearnable = SafetensorsPersistor().load_model(self.server.context())
        self.aggregator = FedVoxAggregator()

    @property
    def index(self) -> int:
        return self.server.run().state.version

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return self.model[ModelLearnableKey.WEIGHTS]

    def context(self, name: str = "") -> FLContext:
        """At the server, for a message of a site."""
        peer = FLContext()
        if name:
            told = self.sites[name].context().get_all_public_props()
            peer.set_public_props(fobs.loads(self.packed(told)))
        props = {
            AppConstants.CURRENT_ROUND: self.index,
            AppConstants.GLOBAL_MODEL: self.model,
            FLContextKey.TASK_NAME: TASK_TRAIN,
        }
        return self.server.context(peer=peer, **props)

    def over_the_wire(self, message: Shareable) -> Shareable:
        data = self.packed(message)
        self.sent += len(data)
        return fobs.loads(data)

    def ask(self, name: str) -> Shareable:
        """The task that a site gets."""
        task = DXO(DataKind.WEIGHTS, data=self.weights).to_shareable()
        task.set_header(AppConstants.CURRENT_ROUND, self.index)
        task.add_cookie(AppConstants.CONTRIBUTION_ROUND, self.index)
        fl_ctx = self.context(name)
        for step in (OwnPart(), SendModel()):
            task = step.process(task, fl_ctx)
        if from_shareable(task).data_kind == DataKind.WEIGHTS:
            self.whole.append((name, self.index))
        return self.over_the_wire(task)

    def receive(self, name: str, task: Shareable) -> dict[str, np.ndarray]:
        """What the site's executor gets; the server's model, as the site then says."""
        fl_ctx = self.sites[name].context()
        for step in (ReceivedModel(), ReceiveModel()):
            task = step.process(task, fl_ctx)
        assert fl_ctx.get_prop(REPLICA) == replica_of(self.index, self.weights)
        return from_shareable(task).data

    def answer(self, name: str, task: Shareable, fails: bool = False) -> Shareable:
        """What a site makes of a task."""
        received = self.receive(name, task)
        result = make_reply(ReturnCode.EXECUTION_EXCEPTION)
        if not fails:
            claims = {**CLAIMS, "round": self.index}
            data = trained(received, name, self.index)
            result = DXO(DataKind.WEIGHTS, data=data, meta={META: claims}).to_shareable()
        fl_ctx = self.sites[name].context()
        for step in (OutgoingFilter(), SendUpdate()):
            result = step.process(result, fl_ctx)
        result.set_cookie_jar(task.get_cookie_jar())
        return result

    def take(self, name: str, result: Shareable) -> bool:
        fl_ctx = self.context(name)
        message = CountResults().process(self.over_the_wire(result), fl_ctx)
        authenticate(name, message, fl_ctx)
        if message.get_return_code() not in (None, ReturnCode.OK):
            self.aggregator.note_failed(name, "it failed", fl_ctx)
            return False
        return self.aggregator.accept(message, fl_ctx)

    def close(self) -> dict:
        fl_ctx = self.context()
        made = from_shareable(self.aggregator.aggregate(fl_ctx)).data
        self.aggregator.reset(fl_ctx)
        self.model[ModelLearnableKey.WEIGHTS] = made
        self.sent, sent = 0, self.sent
        record = self.server.run().state.rounds()[-1]
        return record | {"sent": sent}

    def go(self, site: Callable[["Course", str], None]) -> str:
        """All rounds; returns the fingerprint of the last model and of the server's memory."""
        while self.index < ROUNDS:
            for name in SITES:
                site(self, name)
            self.close()
        arrays = self.server.run().state.load_memory().arrays
        assert weights_hash(self.server.run().state.load_last()) == weights_hash(self.weights)
        return weights_hash({**self.weights, **arrays})


def trained(received, name: str, index: int) -> dict[str, np.ndarray]:
    """Weights that depend on what was received, and on site and round."""
    rng = np.random.default_rng(derive_seed(0, name, index))
    return {
        key: (0.9 * array + 0.05 * rng.standard_t(3, array.shape)).astype(np.float32)
        for key, array in sorted(received.items())
    }


def plainly(course: Course, name: str) -> None:
    assert course.take(name, course.answer(name, course.ask(name)))


@pytest.fixture
def course(party, phantom_site, serialised) -> Callable[[str], Course]:
    """A function from a run's id to the run."""
    site_file = {"dataset": "phantom", "root": str(phantom_site("ct")), "modalities": ["ct"]}

    def begin(run: str) -> Course:
        def new(name: str):
            made = party(name, job_id=run)
            if name != "server":
                (made.root / "local/fedvox_site.json").write_text(json.dumps(site_file))
            return made

        return Course(new, serialised)

    return begin


@pytest.fixture
def undisturbed(course) -> str:
    return course("undisturbed").go(plainly)


def test_tasks_and_results_that_are_sent_again_change_nothing_but_the_ledger(course, undisturbed):
    run = course("again")

    def twice(run: Course, name: str) -> None:
        lost = run.answer(name, run.ask(name))  # its connection broke: the server asks again
        result = run.answer(name, run.ask(name))
        assert run.packed(result) == run.packed(lost)
        assert run.take(name, result)
        assert not run.take(name, result)

    assert run.go(twice) == undisturbed
    assert run.whole == []


def test_the_ledger_holds_every_byte_of_every_message(course):
    run = course("ledger")
    for name in SITES:
        plainly(run, name)
    run.take("site-1", run.answer("site-1", run.ask("site-1")))
    record = run.close()
    assert record["bytes_up"] + record["bytes_down"] == record["sent"]
    own = {entry["site"]: entry["bytes_up"] for entry in record["contributors"]}
    assert 1.8 < own["site-1"] / own["site-2"] < 2.2


def test_a_site_s_process_that_is_started_again_at_any_time_changes_nothing(course, undisturbed):
    def restarted(run: Course, name: str) -> None:
        run.start_site(name)
        run.receive(name, run.ask(name))
        run.start_site(name)
        run.answer(name, run.ask(name))
        run.start_site(name)
        plainly(run, name)

    run = course("restarted")
    assert run.go(restarted) == undisturbed
    assert run.whole == []


def test_a_server_that_is_killed_in_every_round_goes_on_with_the_same_bytes(course, undisturbed):
    run, killed = course("killed"), set()

    def once(run: Course, name: str) -> None:
        plainly(run, name)
        if name == "site-2" and run.index not in killed:
            killed.add(run.index)
            run.start_server()
            for other in ("site-1", "site-2"):
                plainly(run, other)

    assert run.go(once) == undisturbed
    assert killed == set(range(ROUNDS))
    assert run.whole == []


def test_a_site_that_misses_two_rounds_gets_the_model_whole_and_ends_where_it_would_have(course):
    """Beside it a run with the same contributors, in which the site is there and fails."""

    def away(run: Course, name: str) -> None:
        if (name, run.index) == ("site-3", 3):
            run.start_site(name)
        if name != "site-3" or run.index not in (1, 2):
            plainly(run, name)

    def failing(run: Course, name: str) -> None:
        fails = name == "site-3" and run.index in (1, 2)
        assert run.take(name, run.answer(name, run.ask(name), fails)) != fails

    missed, there = course("missed"), course("there")
    assert missed.go(away) == there.go(failing)
    assert missed.whole == [("site-3", 3)] and there.whole == []
    records = missed.server.run().state.rounds()
    assert [record["missing"] for record in records] == [[], ["site-3"], ["site-3"], []]


def test_a_site_that_lost_its_disk_joins_again_with_the_server_s_model(course):
    def lost(run: Course, name: str) -> None:
        if (name, run.index) == ("site-3", 2):
            shutil.rmtree(run.sites[name].root)
            run.start_site(name)
        plainly(run, name)

    run = course("disk")
    run.go(lost)
    assert run.whole == [("site-3", 2)]


def test_a_late_update_and_one_of_another_model_are_refused(course):
    run = course("late")
    kept = run.answer("site-3", run.ask("site-3"))
    for name in SITES[:2]:
        plainly(run, name)
    run.close()
    assert not run.take("site-3", kept)
    kept.add_cookie(AppConstants.CONTRIBUTION_ROUND, 1)
    assert not run.take("site-3", kept)
    plainly(run, "site-3")
    refused = [entry["reason"] for entry in run.close()["refused"]]
    assert refused == [
        "compressed update: of another model than the one of this round",
        "stale: answers round 0, open is 1",
    ]
