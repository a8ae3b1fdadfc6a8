"""What goes down to each site: the tensors that travel to it, cut at the server by a filter."""

from collections.abc import Mapping

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.app_common.app_constant import AppConstants

from fedvox.flare.run.messages import KEPT, MODEL_BEST, VERSION
from fedvox.flare.run.report_form import model_name
from fedvox.flare.run.senders import TOKEN, is_sender
from fedvox.flare.run.server_run import ServerRun, server_run


class OwnPart(Filter):
    """Sends each site what it owns of a model, as its registration says, and no more.

    It stands in a job under the server's ``task_data_filters``. What a workflow broadcasts is
    shared between sites, so a task that changes is made anew. Where sites keep personal tensors the
    task also says how many rounds the model has behind it, and which versions may still be asked
    for: with each belong the personal tensors that a site had then.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The task for the site that asks; the same object where there is nothing to change."""
        try:
            dxo = from_shareable(shareable)
        except ValueError:  # a task without a model, such as submit_model
            return shareable
        if dxo.data_kind != DataKind.WEIGHTS:
            return shareable
        run = server_run(fl_ctx)
        travelling = run.parts.travelling(dxo.data, _modalities(run, fl_ctx))
        if len(travelling) == len(dxo.data) and not run.job.training.personal:
            return shareable
        data = {name: array for name, array in dxo.data.items() if name in travelling}
        task = _with_headers(DXO(DataKind.WEIGHTS, data=data), shareable)
        if run.job.training.personal:
            for name, value in _versions(run, shareable).items():
                task.set_header(name, value)
        return task


def _modalities(run: ServerRun, fl_ctx: FLContext) -> tuple[str, ...]:
    """Those of the site that asks; none for somebody in its name."""
    peer = fl_ctx.get_peer_context()
    site = str(peer.get_prop(ReservedKey.IDENTITY_NAME, ""))
    if site not in run.admitted or not is_sender(site, peer.get_prop(TOKEN), fl_ctx):
        return ()
    return run.admitted[site].modalities


def _with_headers(dxo: DXO, old: Shareable) -> Shareable:
    """A task with another model and the headers of the old one."""
    task = Shareable()
    task.update(old)
    task[ReservedHeaderKey.HEADERS] = dict(old[ReservedHeaderKey.HEADERS])
    return dxo.update_shareable(task)


def _versions(run: ServerRun, task: Shareable) -> Mapping[str, object]:
    best, last = run.state.best, run.state.version
    owner = model_name(str(task.get_header(AppConstants.MODEL_OWNER, "")))
    version = best.version if best and owner == MODEL_BEST else last
    return {VERSION: version, KEPT: sorted({*run.state.course.kept, last})}
