"""The site's last word on what leaves it: a filter of the site's policy, not of the job."""

from dataclasses import fields

from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from fedvox.errors import ConfigError
from fedvox.flare.messages import META
from fedvox.flare.places import is_simulator
from fedvox.metrics.table import MetricRow, SharedSummary
from fedvox.privacy.outgoing import check_claims, check_report, check_weights

_COLUMNS = frozenset(field.name for kind in (MetricRow, SharedSummary) for field in fields(kind))


class OutgoingFilter(Filter):
    """Lets only weights, their claims and evaluation reports of the known form leave the site.

    It stands in ``local/privacy.json`` and runs whatever filters a job names or omits. What it does
    not know it refuses: FLARE then reports the task as failed and sends nothing of the result.

    Args:
        share_cases: False forbids per-case rows even where the site file says ``cases``.
    """

    def __init__(self, share_cases: bool = True) -> None:
        super().__init__()
        self.share_cases = share_cases

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Passes a result unchanged or raises.

        Raises:
            ConfigError: says which part is not of the known form, without its content.
        """
        if shareable.get_return_code() not in (None, ReturnCode.OK):
            return shareable
        try:
            dxo = from_shareable(shareable)
        except ValueError:
            raise ConfigError("an outgoing result has an unknown form; nothing was sent") from None
        if dxo.data_kind == DataKind.WEIGHTS:
            check_weights(dxo.data)
            check_claims(dxo.meta.get(META, {}))
        elif dxo.data_kind == DataKind.METRICS:
            check_report(dxo.data, self.share_cases, _COLUMNS)
        else:
            raise ConfigError("an outgoing result has an unknown kind; nothing was sent")
        return shareable


def check_policy(fl_ctx: FLContext) -> None:
    """Refuses to work at a site whose privacy policy does not run :class:`OutgoingFilter`.

    The simulator has no sites to protect and needs no policy.

    Raises:
        ConfigError: the policy is missing or lacks the filter.
    """
    if is_simulator(fl_ctx):
        return
    scope = fl_ctx.get_prop(FLContextKey.SCOPE_OBJECT)
    filters = scope.task_result_filters[FilterKey.OUT] if scope is not None else []
    if not any(isinstance(entry, OutgoingFilter) for entry in filters):
        raise ConfigError(
            "local/privacy.json does not run fedvox.flare.outgoing.OutgoingFilter; copy "
            "provisioning/policies/site/privacy.json into the kit's local folder and restart"
        )
