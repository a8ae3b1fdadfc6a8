"""What the server found of each site in a round, as curves beside those that the site streams."""

from collections.abc import Mapping
from typing import Any

from nvflare.apis.analytix import AnalyticsDataType
from nvflare.apis.fl_constant import EventScope, FedEventHeader, FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.utils.analytix_utils import create_analytic_dxo

from fedvox.flare.run.site_events import METRICS_EVENT, SERVERS

_KEYS = ("weight", "update_norm", "bytes_up", "bytes_down")


def server_values(record: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Site -> tag -> number of a round's record: share in the mean, norm, bytes, the rule's terms.

    Args:
        record: a line of ``rounds.jsonl``.
    """
    return {
        own["site"]: {f"{SERVERS}{key}": own[key] for key in _KEYS if own[key] is not None}
        | {f"{SERVERS}{name}": value for name, value in own.get("terms", {}).items()}
        for own in record["contributors"]
    }


def stream_round(record: Mapping[str, Any], fl_ctx: FLContext) -> None:
    """Hands a round's numbers to FLARE's receiver, one scalar each, with the round as step.

    Args:
        record: a line of ``rounds.jsonl``.
        fl_ctx: a context of the server.
    """
    engine: Any = fl_ctx.get_engine()
    for site, values in server_values(record).items():
        for tag, value in values.items():
            event = create_analytic_dxo(
                tag=tag,
                value=float(value),
                data_type=AnalyticsDataType.SCALAR,
                global_step=record["round"],
            ).to_shareable()
            event.set_peer_props({ReservedKey.IDENTITY_NAME: site})
            event.set_header(FedEventHeader.DIRECTION, "in")  # "out" would go to the sites
            props = {
                FLContextKey.EVENT_DATA: event,
                FLContextKey.EVENT_SCOPE: EventScope.FEDERATION,
            }
            with engine.new_context() as own:
                for key, content in props.items():
                    own.set_prop(key, content, private=True, sticky=False)
                engine.fire_event(METRICS_EVENT, own)
