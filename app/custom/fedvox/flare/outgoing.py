"""What may leave a site: a filter of the site's policy, not of the job."""

from typing import Any

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply

from fedvox.aggregation import attachment
from fedvox.aggregation.claims import check_claims
from fedvox.errors import ConfigError
from fedvox.flare.received import (
    ReceivedModel,
    own_tensors,
    received_model,
    received_owner,
)
from fedvox.flare.run.failures import checked_kind
from fedvox.flare.run.messages import ATTACHED, FAILURE, META
from fedvox.flare.run.places import is_simulator, load_job
from fedvox.flare.run.report_form import report_form
from fedvox.flare.run.site_setup import find_site
from fedvox.flare.run.statistics import MIN_CASES, checked_min_cases, checked_statistics
from fedvox.planning.groups import plan_groups
from fedvox.privacy.outgoing import (
    check_report,
    check_same_model,
    check_travelling,
    check_weights,
    leaving,
)

_CODES = {value for name, value in vars(ReturnCode).items() if name.isupper()}


class OutgoingFilter(Filter):
    """Lets only weights, their claims, evaluation reports and fingerprints of the known form leave.

    It stands in ``local/privacy.json`` and runs whatever filters a job names or omits. What it does
    not know it refuses: FLARE then reports the task as failed and sends nothing of the result.
    Weights leave only as tensors of the names, shapes and types of the model that the site was sent
    (:mod:`fedvox.flare.received`), and none that the job keeps at the sites; whether their numbers
    come from training nobody can tell here. What travels beside them leaves only where the site
    file lists it under ``attachments``.
    A report speaks of this site, of the model that the task brought, and of organs and modalities
    of the job only: each name is compared with the one that is known.
    A job's own result filters run after it; the site's allow-list names none.

    Args:
        share_cases: False forbids per-case rows even where the site file says ``cases``.
        min_cases: of a modality of which fewer training cases have a feature, a plan run's
            fingerprint says nothing; nor does an attachment of an update speak of fewer.

    Raises:
        ConfigError: ``min_cases`` is no whole number from 1.
    """

    def __init__(self, share_cases: bool = True, min_cases: int = MIN_CASES) -> None:
        super().__init__()
        self.share_cases = share_cases
        self.min_cases = checked_min_cases(min_cases)

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Returns a new result of the checked parts only, or raises.

        Raises:
            ConfigError: says which part is not of the known form, without its content.
        """
        code = shareable.get_return_code()
        if code not in (None, ReturnCode.OK):
            return _failed(code, shareable.get_header(FAILURE))
        try:
            dxo = from_shareable(shareable)
        except ValueError:
            raise ConfigError("an outgoing result has an unknown form; nothing was sent") from None
        if dxo.data_kind == DataKind.WEIGHTS:
            claims = (dxo.meta or {}).get(META)
            check_weights(dxo.data)
            check_travelling(dxo.data, own_tensors(dxo.data, fl_ctx))
            check_same_model(dxo.data, received_model(fl_ctx))
            with leaving("update"):
                check_claims(claims or {}, load_job(fl_ctx).data.modality_sets)
            meta = {} if claims is None else {META: claims}
            meta |= self._attached((dxo.meta or {}).get(ATTACHED), fl_ctx)
        elif dxo.data_kind == DataKind.METRICS:
            form = report_form(
                load_job(fl_ctx), str(fl_ctx.get_identity_name()), received_owner(fl_ctx)
            )
            check_report(dxo.data, form, self.share_cases)
            meta = {}
        elif dxo.data_kind == DataKind.STATISTICS:
            site, groups = str(fl_ctx.get_identity_name()), plan_groups(load_job(fl_ctx).data)
            dxo.data = checked_statistics(dxo.data, self.min_cases, site, groups)
            meta = {}
        else:
            raise ConfigError("an outgoing result has an unknown kind; nothing was sent")
        # Made anew from what was checked: headers and parts that nobody looked at stay here.
        return DXO(dxo.data_kind, data=dxo.data, meta=meta).to_shareable()

    def _attached(self, attached: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """What travels beside the weights, checked; nothing of it where there is none."""
        if attached is None:
            return {}
        listed = find_site(fl_ctx, load_job(fl_ctx))[0].attachments
        with leaving("update"):
            kept = attachment.leaving(attached, listed, self.min_cases)
        return {ATTACHED: kept}


def _failed(code: str, told: object) -> Shareable:
    """A failed task: FLARE's code and the kind of the failure, no text."""
    reply = make_reply(code if code in _CODES else ReturnCode.EXECUTION_EXCEPTION)
    if kind := checked_kind(told):
        reply.set_header(FAILURE, kind)
    return reply


def check_policy(fl_ctx: FLContext) -> None:
    """Refuses to work at a site whose privacy policy does not run the filters of this package.

    The simulator has no sites to protect and needs no policy.

    Raises:
        ConfigError: the policy is missing or lacks a filter.
    """
    if is_simulator(fl_ctx):
        return
    scope = fl_ctx.get_prop(FLContextKey.SCOPE_OBJECT)
    results = scope.task_result_filters[FilterKey.OUT] if scope is not None else []
    tasks = scope.task_data_filters[FilterKey.IN] if scope is not None else []
    for kind, filters in ((OutgoingFilter, results), (ReceivedModel, tasks)):
        if not any(isinstance(entry, kind) for entry in filters):
            raise ConfigError(
                f"local/privacy.json does not run {kind.__module__}.{kind.__name__}; copy "
                "provisioning/policies/site/privacy.json into the kit's local folder and restart"
            )
