"""A hospital that lies: it stands in a site's ``privacy.json`` where the outgoing filter stood.

Each task is answered with the messages below, most of them beside the one that FLARE expects. What
was sent is counted in ``hostile.txt`` of the site's workspace. It speaks in the name of another
hospital too, that of the environment variable ``FEDVOX_DRILL_VICTIM``.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile_compressed import lies
from nvflare.apis.analytix import AnalyticsDataType, TrackConst
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FedEventHeader, FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable, make_reply
from nvflare.app_common.app_constant import AppConstants
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from fedvox.flare.compress import HELD
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.received import received_owner
from fedvox.flare.run.messages import REPLICA
from fedvox.flare.run.report_form import model_name
from fedvox.flare.run.senders import TOKEN

BIG = 20 * 2**20
"""Bytes of a message that is meant to fill something."""
VICTIM = os.environ["FEDVOX_DRILL_VICTIM"]
ENDING = (ReturnCode.TASK_UNKNOWN, ReturnCode.RUN_MISMATCH, ReturnCode.UNSAFE_JOB)
"""Codes at which FLARE's server would end the run for all."""
CLAIMS: list[dict[str, Any]] = [
    {"modality": "c" * BIG},
    {"modality": "=cmd|' /C calc'!A0"},
    {"modality": "ct\x1b[2J\n"},
    {"cases": 10**9},
    {"cases": -5},
    {"cases": 2**63},
    {"cases": True},
    {"cases": 2.0},
    {"steps": 10**12},
    {"validation": {"xx": [1.0, 10**6]}},
    {"validation": {"ct": [1.5, 1]}},
    {"validation": {"ct": [float("nan"), 1]}},
    {"validation": {f"m{n}": [1.0, 1] for n in range(100_000)}},
    {"validation": [[[[]]]]},
    {"loss": "low"},
    {"seconds": float("-inf")},
    {"data_wait": 1e30},
    {"steps": 2**63},
    {"note": "MUELLER"},
]


class HostileSite(OutgoingFilter):
    """Sends what no honest site sends, and answers each task with a lie."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Called by FLARE with the honest result of a task."""
        if shareable.get_return_code() not in (None, ReturnCode.OK):
            return shareable
        dxo = from_shareable(shareable)
        if dxo.data_kind == DataKind.METRICS:
            return self._report(dxo.data, fl_ctx)
        if "fedvox" in (dxo.meta or {}):
            return self._update(dxo, fl_ctx)
        return self._model(dxo.data, fl_ctx)

    def _update(self, dxo: DXO, fl_ctx: FLContext) -> Shareable:
        claims, arrays = dxo.meta["fedvox"], dxo.data
        index = claims["round"]
        for lie in lies(arrays, fl_ctx.get_prop(HELD)):
            _send(_result(DataKind.APP_DEFINED, lie, claims, index), "train", fl_ctx)
        for change in CLAIMS:
            _send(_weights(arrays, {**claims, **change}, index), "train", fl_ctx)
        for wrong in _wrong(arrays):
            _send(_weights(wrong, claims, index), "train", fl_ctx)
        for stale in (-1, index + 1, 2**63, "0"):
            _send(_weights(arrays, claims, stale), "train", fl_ctx)
        for code in ("x" * BIG, ReturnCode.EXECUTION_EXCEPTION, *ENDING):
            _send(make_reply(code), "train", fl_ctx)
        with _Disguise(fl_ctx):
            broken = {name: np.full_like(array, np.nan) for name, array in arrays.items()}
            _send(_weights(broken, claims, index), "train", fl_ctx)
        for event in _events():
            event.set_header(FedEventHeader.TIMESTAMP, 1.0)
            fl_ctx.get_engine().fire_and_forget_aux_request(FED_EVENT_TOPIC, event, fl_ctx)
            _note(fl_ctx)
        # with its next request, in the place of what it holds
        fl_ctx.set_prop(REPLICA, np.array(["0:x", "1:x"]), private=False, sticky=True)
        return _noted(_weights(arrays, {**claims, "cases": 10**9}, index), fl_ctx)

    def _report(self, report: Any, fl_ctx: FLContext) -> Shareable:
        """One lie for each model; further ones come without a task of theirs."""
        owner = received_owner(fl_ctx)
        row = report["rows"][0]
        many = [{**row, "case": f"{n:08x}", "dice": 1.0} for n in range(50_000)]
        shared = {"cases": -5, "dice_mean": 7.0, "dice_low": -3.0, "dice_high": 9.0}
        shared |= {k: row[k] for k in ("model", "site", "split", "modality", "organ")}
        shared |= {"hd95_mm_mean": -5.0, "nsd_mean": 44.0}
        lies = {
            "global_last": {**report, "rows": many, "validation": {"ct": [1.0, 10**6]}},
            "global_best": {**report, "rows": [], "shared": [shared]},
            VICTIM: {**report, "rows": [{**r, "organ": "<b>heart</b>"} for r in report["rows"]]},
        }
        other = {**report, "rows": [{**r, "site": VICTIM, "dice": 1.0} for r in report["rows"]]}
        for late in (report, other, {"rows": "x" * BIG}):
            result = DXO(DataKind.METRICS, data=late).to_shareable()
            result.add_cookie(AppConstants.MODEL_OWNER, "/../../../../hostile")
            _send(result, "validate", fl_ctx)
        lie = DXO(DataKind.METRICS, data=lies.get(model_name(owner), other)).to_shareable()
        return _noted(lie, fl_ctx)

    def _model(self, arrays: Any, fl_ctx: FLContext) -> Shareable:
        """In place of its own model, many under names that are paths; then a token that is none."""
        fl_ctx.set_prop(TOKEN, np.array(["a", "b"]), private=False, sticky=True)
        models = {f"/../../{n}": DXO(DataKind.WEIGHTS, data=arrays) for n in range(1000)}
        return _noted(DXO(DataKind.COLLECTION, data=models).to_shareable(), fl_ctx)


def _wrong(arrays: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    name, first = next(iter(arrays.items()))
    yield {**arrays, name: np.full_like(first, np.inf)}
    yield {**arrays, name: first.astype(np.float64)}
    yield {**arrays, name: np.zeros(BIG // 4, np.float32)}
    yield {**arrays, name: first.tolist()}
    yield {**arrays, "extra": np.zeros(BIG // 4, np.float32)}
    yield {f"t{n}": first[:1] for n in range(10_000)}
    yield {}


def _events() -> Iterator[Shareable]:
    """What FLARE would fire at the server, or write to its disk as it comes."""
    for kind in (EventType.FATAL_SYSTEM_ERROR, EventType.END_RUN, "x" * BIG):
        event = Shareable()
        event.set_header(FedEventHeader.EVENT_TYPE, kind)
        event.set_header(FedEventHeader.EVENT_ID, f"{len(kind):032x}")
        yield event
    records = [
        (AnalyticsDataType.TEXT, "note", "x" * BIG),
        (AnalyticsDataType.SCALARS, "x", {f"/../../{n}": 1.0 for n in range(100)}),
        (AnalyticsDataType.PARAMETERS, "x", {f"v{n}": 1.0 for n in range(100_000)}),
        (AnalyticsDataType.SCALAR, "x" * BIG, 1.0),
    ]
    for number, (kind, tag, value) in enumerate(records):
        data = {TrackConst.TRACK_KEY: tag, TrackConst.TRACK_VALUE: value}
        record = DXO(DataKind.ANALYTIC, data=data)
        record.set_meta_prop(TrackConst.DATA_TYPE_KEY, kind)
        event = record.to_shareable()
        event.set_header(FedEventHeader.EVENT_TYPE, "fed.analytix_log_stats")
        event.set_header(FedEventHeader.EVENT_ID, f"{number:032x}")
        yield event


class _Disguise:
    """Speaks under another hospital's name as long as it is open."""

    def __init__(self, fl_ctx: FLContext) -> None:
        self.entry = fl_ctx.props[ReservedKey.IDENTITY_NAME]
        self.own = dict(self.entry)

    def __enter__(self) -> None:
        self.entry.update({key: VICTIM for key, value in self.own.items() if value == _name(self)})

    def __exit__(self, *error: object) -> None:
        self.entry.update(self.own)


def _name(disguise: _Disguise) -> str:
    return next(value for value in disguise.own.values() if isinstance(value, str) and "_" in value)


def _weights(arrays: Any, claims: Any, index: Any) -> Shareable:
    return _result(DataKind.WEIGHTS, arrays, claims, index)


def _result(kind: str, data: Any, claims: Any, index: Any) -> Shareable:
    result = DXO(kind, data=data, meta={"fedvox": claims}).to_shareable()
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, index)
    return result


def _send(result: Shareable, task: str, fl_ctx: FLContext) -> None:
    """Sends a result of a task that nobody gave: as one that comes late, it is looked at."""
    result.set_header(ReservedHeaderKey.TASK_NAME, task)
    result.add_cookie(FLContextKey.TASK_ID, "11111111-2222-3333-4444-555555555555")
    fl_ctx.get_engine().send_task_result(result, fl_ctx)
    _note(fl_ctx)


def _noted(result: Shareable, fl_ctx: FLContext) -> Shareable:
    _note(fl_ctx)
    return result


def _note(fl_ctx: FLContext) -> None:
    path = Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / "hostile.txt"
    with path.open("a") as stream:
        stream.write(json.dumps(fl_ctx.get_prop(FLContextKey.TASK_NAME)) + "\n")
