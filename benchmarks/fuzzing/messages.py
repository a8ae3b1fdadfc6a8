"""What sites send to the server: updates, registrations, reports, models, statistics, events.

Each goes to the component that takes it in a federation, in the form in which FLARE hands it on.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nvflare.apis.analytix import AnalyticsDataType, TrackConst
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FedEventHeader, ReservedKey, ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants, StatisticsConstants
from nvflare.app_common.app_event_type import AppEventType

import fedvox
from fedvox.admission.registration import Registration
from fedvox.aggregation.memory import Memory
from fedvox.data.organs import label_map_hash
from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.aggregator import FedVoxAggregator
from fedvox.flare.handshake import Handshake
from fedvox.flare.run.happened import START
from fedvox.flare.run.incoming import HANDSHAKE, read_site_model
from fedvox.flare.run.messages import ATTACHED, META, PAYLOAD, REGISTRATION, REPLICA, UNREADABLE
from fedvox.flare.run.senders import TOKEN
from fedvox.flare.run.site_events import METRICS_EVENT, EventGuard
from fedvox.flare.run.statistics import FingerprintStatistics, pack, read_statistics, unpack
from fedvox.flare.workflow_results import WriteResults
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of
from fedvox.metrics import METRICS, other_metrics
from fedvox.metrics.table import MetricRow, SharedSummary, to_dict
from fuzzing.changes import LEAVES, NUMBERS, ODD, changed_bytes, changed_trees
from fuzzing.codec import messages, spoilt_messages
from fuzzing.door import Door
from fuzzing.server import Server, taken

JOB: Mapping[str, Any] = {
    "name": "small",
    "data": {"organs": ["liver", "spleen"], "spacing": [12.0] * 3, "patch": [16, 16, 16]},
    "network": {"channels": [4, 8], "residual_units": 0},
    "training": {"rounds": 2, "steps": 5, "device": "cpu"},
    "waiting": {"handshake": 0.0},
}
TYPES = ["f4", "f8", "f2", "i4", "u1", "?", "c8", "U3", "S2", "M8[s]", ">f4", "i1,f4"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
ARRAYS = st.builds(lambda *parts: filled(*parts), st.sampled_from(TYPES), SHAPES, NUMBERS)
"""Whatever array could travel."""
TRAVELLING = (
    ODD
    | ARRAYS
    | st.binary(max_size=20)
    | st.tuples(LEAVES, LEAVES)
    | NUMBERS.map(np.float64)
    | st.sampled_from([np.int32(3), np.bool_(True), frozenset(("mr",)), b""])
    | st.builds(Shareable)
    | st.builds(set, st.just(("ct",)))
)
Kind = tuple[st.SearchStrategy[Any], Callable[[Any], bool]]
"""Inputs of one kind of message, and what takes one."""


def filled(kind: str, shape: tuple[int, ...], value: Any) -> np.ndarray:
    """An array of one value, or of NaN where its type cannot hold that."""
    array = np.zeros(shape, kind)
    with np.errstate(all="ignore"):
        try:
            array[...] = value
        except (TypeError, ValueError, OverflowError):
            array = np.full(shape, np.nan)
    return array


def shareable_of(tree: Any) -> Shareable:
    """What FLARE would have made of it; a site may leave out or replace whatever it wants."""
    made = Shareable()
    if isinstance(tree, dict):
        made.clear()
        made.update(tree)
    return made


def changed_messages(sound: list[Shareable]) -> st.SearchStrategy[Shareable]:
    """Sound ones with parts of any depth replaced, added or left out."""
    return changed_trees([dict(message) for message in sound], TRAVELLING).map(shareable_of)


def updates(folder: Path) -> Kind:
    """Plain and compressed ones: what the aggregator keeps is finite and of the model's schema."""
    model = weights_of(initial_model(job_from(JOB)))
    claims = {
        "round": 0,
        "cases": 2,
        "steps": 5,
        "modality": "ct",
        "loss": 0.5,
        "seconds": 3.0,
        "data_wait": 0.1,
        "validation": {"ct": [0.5, 1]},
    }
    servers = {
        "plain": registering(folder / "plain", {}),
        "compressed": registering(folder / "compressed", {"compression": {"small": 50}}),
    }
    replica = servers["compressed"].run().replica(0, model)
    weights = {name: array + np.float32(0.01) for name, array in model.items()}
    sound = [
        update_message(DataKind.WEIGHTS, weights, {META: claims}),
        update_message(DataKind.WEIGHTS, weights, {META: claims, ATTACHED: {"prototypes": {}}}),
    ]

    def packed(data: bytes) -> Shareable:
        content = {REPLICA: replica, PAYLOAD: data}
        return update_message(DataKind.APP_DEFINED, content, {META: claims})

    plain = st.tuples(st.just("plain"), changed_messages(sound))
    more = changed_messages([packed(messages(model)[0]), *sound])
    compressed = st.tuples(st.just("compressed"), more | spoilt_messages(model).map(packed))
    props = {
        AppConstants.CURRENT_ROUND: 0,
        AppConstants.GLOBAL_MODEL: make_model_learnable(dict(model), {}),
    }

    def enter(given: tuple[str, Shareable]) -> bool:
        name, message = given
        fl_ctx = servers[name].context("site-1", **props)
        aggregator = FedVoxAggregator()
        if not aggregator.accept(message, fl_ctx):
            return False
        found = aggregator.open_round(fl_ctx)
        for tensor, array in model.items():
            kept = found.store.read(0, "site-1", tensor)
            assert kept.shape == array.shape and np.isfinite(kept).all()
        assert all(math.isfinite(entry["update_norm"]) for entry in found.contributors.values())
        found.store.drop(0)
        return True

    return plain | plain | compressed, enter


def update_message(kind: str, data: Mapping[str, Any], meta: Mapping[str, Any]) -> Shareable:
    """A result of training."""
    made = DXO(kind, data=dict(data), meta=dict(meta)).to_shareable()
    made.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    return made


def registering(folder: Path, more: Mapping[str, Any]) -> Server:
    """A server with whom one site has registered."""
    server = Server(folder, {**JOB, **more}, ["site-1"])
    run = server.run()
    own = registration()
    run.admitted, run.registered = {"site-1": own}, {"site-1": dict(own.training)}
    run.validation = {"site-1": dict(own.validation)}
    handshake = Handshake()
    handshake.registrations = {"site-1": own}
    server.components[HANDSHAKE] = handshake
    return server


def registration() -> Registration:
    """A sound one."""
    return Registration(
        version=fedvox.__version__,
        label_map=label_map_hash(JOB["data"]["organs"]),
        annotated=("liver", "spleen"),
        modalities=("ct",),
        training={"ct": 2},
        validation={"ct": 1},
        test={"ct": 1},
        source="folder-1",
    )


def registrations(folder: Path) -> Kind:
    """What a site tells with its first request for a task, before the start and after it."""
    server = Server(folder / "handshake", JOB, ["site-1"])
    start = {"id": "a" * 32, "restarts": 0, "signal": 0}
    told = {REGISTRATION: registration().to_dict(), START: start, TOKEN: "token-site-1"}

    def enter(given: tuple[dict[str, Any], bool]) -> bool:
        props, late = given
        handshake = Handshake()
        handshake._started = late
        fl_ctx = server.context("site-1", props)
        handshake.handle_event(EventType.BEFORE_PROCESS_TASK_REQUEST, fl_ctx)
        own = handshake.registrations.get("site-1")
        if own is None or own.error:
            return False
        assert 0 <= own.cases < 10**9
        return True

    trees = changed_trees([told], TRAVELLING).filter(lambda tree: isinstance(tree, dict))
    return st.tuples(trees, st.booleans()), enter


def reports(folder: Path) -> Kind:
    """Evaluations: what is kept becomes tables."""
    server = registering(folder / "results", {})
    rows = [to_dict(_row(organ)) for organ in ("liver", "spleen")]
    shared = [to_dict(_summary())]
    sound = [
        DXO(DataKind.METRICS, data={"validation": {"ct": [0.5, 1]}, **part}).to_shareable()
        for part in ({"rows": rows, "shared": []}, {"rows": [], "shared": shared})
    ]
    props: dict[str, object] = {
        AppConstants.DATA_CLIENT: "site-1",
        AppConstants.MODEL_OWNER: "SRV_global_last",
    }

    def enter(message: Shareable) -> bool:
        results = WriteResults()
        fl_ctx = server.context("site-1", {}, **props, **{AppConstants.VALIDATION_RESULT: message})
        results.handle_event(AppEventType.VALIDATION_RESULT_RECEIVED, fl_ctx)
        server.run().refused.clear()
        server.run().take_notes()
        if not results.heard:
            return False
        kept = [*map(to_dict, results.rows), *map(to_dict, results.shared)]
        assert all(row["site"] == "site-1" for row in kept)
        return True

    return changed_messages(sound), enter


def _row(organ: str) -> MetricRow:
    scores = dict.fromkeys((name for name, _ in METRICS.items()), 0.5)
    return MetricRow("global_last", "site-1", "test", "ct", "a" * 16, organ, scores, 10)


def _summary() -> SharedSummary:
    means = dict.fromkeys((name for name, _ in other_metrics()), 0.5)
    none = math.nan
    return SharedSummary(
        "global_last", "site-1", "test", "ct", "liver", 1, 0.5, none, none, means, none, {}
    )


def site_models(folder: Path) -> Kind:
    """A site's own model: what is kept is finite and of the schema."""
    server = registering(folder / "models", {})
    model = weights_of(initial_model(job_from(JOB)))
    run = server.run()
    run.state.finish_round(model, model, {"round": 0, "scores": {}, "validation": {}}, Memory())
    sound = [DXO(DataKind.WEIGHTS, data=dict(model)).to_shareable()]

    def enter(message: Shareable) -> bool:
        try:
            kept = from_shareable(read_site_model(message, "site-1", run))
        except (FedVoxError, *UNREADABLE):
            return False
        assert all(np.isfinite(kept.data[name]).all() for name in model)
        return True

    return changed_messages(sound), enter


def statistics(folder: Path) -> Kind:
    """Answers of a plan run, whose numbers travel as bytes of FLARE's own form."""
    task = StatisticsConstants.STATS_1st_STATISTICS
    asked = FingerprintStatistics({}, ["ct", "mr"])
    counts = {m: {f.feature_name: 0 for f in own} for m, own in asked.features().items()}
    sound = pack(task, {"count": counts, "failure_count": counts})
    trees = changed_trees([sound], TRAVELLING)
    spoilt = changed_bytes([sound[task]], head=64).map(lambda data: {**sound, task: data})

    def enter(data: Any) -> bool:
        try:
            kept = read_statistics(data, task, ["ct", "mr"], 0)
        except (ConfigError, *UNREADABLE):
            return False
        unpack(kept)
        return True

    return trees | spoilt, enter


def events(folder: Path) -> Kind:
    """Numbers for TensorBoard."""
    server = registering(folder / "events", {})
    data = {TrackConst.TRACK_KEY: "loss", TrackConst.TRACK_VALUE: 0.5, "global_step": 1}
    dxo = DXO(DataKind.ANALYTIC, data=data)
    dxo.set_meta_prop(TrackConst.DATA_TYPE_KEY, AnalyticsDataType.SCALAR)
    sound = dxo.to_shareable()
    sound.set_peer_props({ReservedKey.IDENTITY_NAME: "site-1", TOKEN: "token-site-1"})
    sound.set_header(FedEventHeader.EVENT_TYPE, METRICS_EVENT)
    sound.set_header(FedEventHeader.EVENT_ID, "ab-12")
    sound.set_header(FedEventHeader.TIMESTAMP, 1.0)

    def enter(message: Shareable) -> bool:
        reply = EventGuard(taken)("topic", message, server.context("site-1"))
        return reply.get_return_code() == ReturnCode.OK

    return changed_messages([sound]), enter


KINDS = (updates, registrations, reports, site_models, statistics, events)


def site_messages(work: Path) -> Door:
    """One of the kinds at a time, updates most often."""
    kinds = {make.__name__: make(work) for make in KINDS}
    chosen = [
        st.tuples(st.just(name), inputs)
        for name, (inputs, _) in kinds.items()
        for _ in range(3 if name == updates.__name__ else 1)
    ]

    def enter(given: tuple[str, Any]) -> bool:
        name, message = given
        return kinds[name][1](message)

    return Door(st.one_of(chosen), enter)
