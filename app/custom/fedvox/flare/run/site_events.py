"""Which events of a site reach the server: numbers for TensorBoard, of a known form, so many.

FLARE fires at the server whatever event a site sends, those that end a run included, and writes
what it streams to disk as it comes. Nor may a site end the run by its return code.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from nvflare.apis.analytix import (
    ANALYTIC_EVENT_TYPE,
    AnalyticsDataType,
    LogWriterName,
    TrackConst,
)
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import FedEventHeader, FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.widgets.convert_to_fed_event import FED_EVENT_PREFIX
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from fedvox.flare.run.messages import UNREADABLE
from fedvox.flare.run.senders import TOKEN, is_sender
from fedvox.flare.run.server_run import server_run
from fedvox.privacy.forms import FormError, number, whole, word

METRICS_EVENT = FED_EVENT_PREFIX + ANALYTIC_EVENT_TYPE
VALUES_PER_ROUND = 100
"""Numbers that one site may stream in one round."""
SERVERS = "server/"
"""How the names of numbers begin that the server found itself; no site may use one."""
_TAG = word(rf"(?!{SERVERS})[A-Za-z0-9_+/-]{{1,80}}")
_EVENT_ID = word(r"[0-9a-f-]{1,64}")
_VALUE = number(-1e12, 1e12, infinite=True)
_STEP = whole()
_KINDS = (AnalyticsDataType.SCALAR, AnalyticsDataType.PARAMETERS)
"""Of FLARE's others some become files whose names a site chooses, some pictures or texts."""
Handler = Callable[..., Shareable]


def outlive_failed_sites(fl_ctx: FLContext) -> None:
    """A site's return code never ends the run by itself, from now on: the workflow judges it.

    FLARE's runner stops the job for all at ``TASK_UNKNOWN``, ``RUN_MISMATCH`` and ``UNSAFE_JOB`` of
    one site, even of a task that nobody gave.

    Args:
        fl_ctx: a context of the server, after the start of the run and before its first task.
    """
    runner: Any = fl_ctx.get_prop(FLContextKey.RUNNER)
    if runner is not None:
        runner.ABORT_RETURN_CODES = []


def guard_events(fl_ctx: FLContext) -> None:
    """Lets only the known events of sites through to FLARE, from now on.

    Args:
        fl_ctx: a context of the server, after the start of the run and before its first task.
    """
    engine: Any = fl_ctx.get_engine()
    table = engine.run_manager.aux_runner.topic_table
    if not isinstance(table[FED_EVENT_TOPIC], EventGuard):
        table[FED_EVENT_TOPIC] = EventGuard(table[FED_EVENT_TOPIC])


class EventGuard:
    """FLARE's handler of sites' events behind a door.

    Args:
        inner: FLARE's handler, which queues an event and fires it later.
    """

    def __init__(self, inner: Handler) -> None:
        self.inner = inner
        self.values: Counter[str] = Counter()

    def __call__(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """Hands on an event of the known form, else drops it and says so to the sender."""
        try:
            event = self._read(request, fl_ctx)
        except (FormError, *UNREADABLE):
            return make_reply(ReturnCode.BAD_REQUEST_DATA)
        return self.inner(topic, event, fl_ctx)

    def _read(self, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """The event, made anew of what was checked."""
        run = server_run(fl_ctx)
        site = request.get_peer_prop(ReservedKey.IDENTITY_NAME, None)
        event_id = request.get_header(FedEventHeader.EVENT_ID)
        if not is_sender(site, request.get_peer_prop(TOKEN, None), fl_ctx):
            raise FormError("is of nobody that takes part")
        if not _EVENT_ID(event_id):
            raise FormError("has no id")
        if request.get_header(FedEventHeader.EVENT_TYPE) != METRICS_EVENT:
            raise FormError("is no event of a site")
        dxo, count = read_metrics(from_shareable(request))
        if self.values[site] + count > VALUES_PER_ROUND * (run.job.training.rounds + 1):
            raise FormError("holds more numbers than a run has")
        self.values[site] += count
        event = dxo.to_shareable()
        event.set_peer_props({ReservedKey.IDENTITY_NAME: site})
        event.set_header(FedEventHeader.EVENT_TYPE, METRICS_EVENT)
        event.set_header(FedEventHeader.EVENT_ID, event_id)
        event.set_header(FedEventHeader.ORIGIN, site)
        event.set_header(
            FedEventHeader.TIMESTAMP, float(request.get_header(FedEventHeader.TIMESTAMP))
        )
        return event


def read_metrics(dxo: DXO) -> tuple[DXO, int]:
    """Named numbers of one step, and how many they are.

    Raises:
        FormError: it is no record of numbers, or a name, a number or the step is not of its form.
    """
    data: Any = dxo.data
    kind = dxo.get_meta_prop(TrackConst.DATA_TYPE_KEY)
    if dxo.data_kind != DataKind.ANALYTIC or not isinstance(data, dict):
        raise FormError("is no record")
    tag, value = data.get(TrackConst.TRACK_KEY), data.get(TrackConst.TRACK_VALUE)
    step = data.get(TrackConst.GLOBAL_STEP_KEY)
    values = value if kind == AnalyticsDataType.PARAMETERS else {tag: value}
    if kind not in _KINDS or not isinstance(values, dict) or len(values) > VALUES_PER_ROUND:
        raise FormError("is no record of numbers")
    if not all(_TAG(name) for name in (tag, *values)) or not (step is None or _STEP(step)):
        raise FormError("has a name or a step that is none")
    if not all(v is not None and _VALUE(v) for v in values.values()):
        raise FormError("holds something that is no number")
    plain = {TrackConst.TRACK_KEY: tag, TrackConst.TRACK_VALUE: value}
    if step is not None:
        plain[TrackConst.GLOBAL_STEP_KEY] = step
    clean = DXO(DataKind.ANALYTIC, data=plain)
    clean.set_meta_prop(TrackConst.DATA_TYPE_KEY, kind)
    clean.set_meta_prop(TrackConst.TRACKER_KEY, LogWriterName.TORCH_TB)
    return clean, len(values)
