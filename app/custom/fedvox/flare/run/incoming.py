"""What the server takes from a site in the evaluation: reports and sites' own models."""

from typing import Any

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply

from fedvox.admission.registration import Registration
from fedvox.aggregation.screening import screen_schema
from fedvox.errors import FedVoxError, UpdateRefused
from fedvox.flare.handshake import Handshake
from fedvox.flare.run.report_form import report_form
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.privacy.forms import FormError
from fedvox.privacy.reports import PARTS, check_report

HANDSHAKE = "handshake"


def registration_of(site: str, fl_ctx: FLContext) -> Registration | None:
    """What a site that takes part registered last, None if nothing."""
    handshake = fl_ctx.get_engine().get_component(HANDSHAKE)
    return handshake.registrations.get(site) if isinstance(handshake, Handshake) else None


def read_report(result: Shareable, site: str, owner: str, fl_ctx: FLContext) -> dict[str, Any]:
    """The evaluation report in a result, all parts present.

    Args:
        result: what the site sent.
        site: its authenticated name.
        owner: the task's, as FLARE writes it.
        fl_ctx: a context of the server.

    Raises:
        FormError: something in it is not of its form; the message quotes nothing.
    """
    dxo = from_shareable(result)
    if dxo.data_kind != DataKind.METRICS:
        raise FormError("is no report")
    form = report_form(server_run(fl_ctx).job, site, owner, registration_of(site, fl_ctx))
    check_report(dxo.data, form)
    if set(dxo.data) != PARTS:
        raise FormError("lacks a part")
    return dict(dxo.data)


def read_site_model(result: Shareable, site: str, run: ServerRun) -> Shareable:
    """A site's own model, made anew of its tensors: of the global model those that it owns.

    The others, which another site may own, are those of the last global model.

    What else came with it, as the DXO's meta data, would go to disk and to all sites. Of a result
    that says that there is none the return code is left: FLARE notes it.

    Raises:
        FormError: the model is another one, or no model.
    """
    code = result.get_return_code()
    if code not in (None, ReturnCode.OK):
        return make_reply(code)
    dxo = from_shareable(result)
    if dxo.data_kind != DataKind.WEIGHTS or not isinstance(dxo.data, dict):
        raise FormError("is no set of weights")
    try:
        last = run.state.load_last() or {}
        own = run.travelling(last).get(site, frozenset(last))
        screen_schema(dxo.data, {name: array for name, array in last.items() if name in own})
    except UpdateRefused as refusal:
        raise FormError(f"does not fit: {refusal}") from None
    return DXO(DataKind.WEIGHTS, data={**last, **dxo.data}).to_shareable()


def refusal_text(error: Exception) -> str:
    """Why something is refused; what other libraries say may quote its content."""
    known = isinstance(error, FedVoxError)
    return str(error) if known else f"is unreadable ({type(error).__name__})"
