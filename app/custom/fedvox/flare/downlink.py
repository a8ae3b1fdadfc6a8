"""What goes down to each site, cut, compressed and weighed at the server by filters.

A site gets the tensors that travel to it, in training as steps if it holds the version before.
"""

from collections.abc import Mapping

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

from fedvox.aggregation.traffic import Traffic
from fedvox.aggregation.update import Arrays
from fedvox.compression.replica import member_bits
from fedvox.flare.run.messages import COUNTED, KEPT, MODEL_BEST, REPLICA, STEPS, TASK_TRAIN, VERSION
from fedvox.flare.run.report_form import model_name
from fedvox.flare.run.senders import TOKEN, is_sender
from fedvox.flare.run.server_run import ServerRun, server_run
from fedvox.flare.run.tasks import wire_size, with_content


class OwnPart(Filter):
    """Sends each site what it owns of a model, as its registration says, and no more; to be scored
    without encoders that nobody trains.

    It stands in a job under the server's ``task_data_filters``. What a workflow broadcasts is
    shared between sites, so a task that changes is made anew. Where only sites have whole models
    the task also says how many rounds the model has behind it, and which versions may still be
    asked for: with each belong the personal tensors that a site had then.
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
        if fl_ctx.get_prop(FLContextKey.TASK_NAME) != TASK_TRAIN:
            travelling &= run.trained(dxo.data)
        if len(travelling) == len(dxo.data) and not run.job.stays_at_sites:
            return shareable
        data = {name: array for name, array in dxo.data.items() if name in travelling}
        task = with_content(DXO(DataKind.WEIGHTS, data=data), shareable)
        if run.job.stays_at_sites:
            for name, value in _versions(run, shareable).items():
                task.set_header(name, value)
        return task


class SendModel(Filter):
    """Sends a training task as the steps that a site lacks, and counts the bytes of every task.

    It stands in a job as the last of the server's ``task_data_filters``. Which version a site holds
    it says with each request; whoever says nothing, or something else, gets the whole model. So a
    task that is sent again is the same, and the server remembers nothing of any site.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The task for the site that asks; where nothing is compressed, as it came."""
        run, task = server_run(fl_ctx), str(fl_ctx.get_prop(FLContextKey.TASK_NAME))
        peer = fl_ctx.get_peer_context()
        message = shareable
        held = peer.get_prop(REPLICA)
        # a text and nothing else: at an error in this filter FLARE ends the round for all sites
        if run.job.compression is not None and task == TASK_TRAIN and isinstance(held, str):
            message = _with_counted(_steps(shareable, held, run), _sender(fl_ctx), run)
        run.ledger.add(task, _sender(fl_ctx), Traffic(down=wire_size(message)))
        return message


class CountResults(Filter):
    """Counts the bytes of every result; it stands first in the server's ``task_result_filters``."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The result as it came."""
        task = str(fl_ctx.get_prop(FLContextKey.TASK_NAME))
        traffic = Traffic(up=wire_size(shareable))
        server_run(fl_ctx).ledger.add(task, _sender(fl_ctx), traffic)
        return shareable


def _sender(fl_ctx: FLContext) -> str:
    """The site at the other end; nobody's name for somebody in another's name."""
    peer = fl_ctx.get_peer_context()
    site = peer.get_prop(ReservedKey.IDENTITY_NAME)
    return str(site) if is_sender(site, peer.get_prop(TOKEN), fl_ctx) else ""


def _steps(shareable: Shareable, held: str, run: ServerRun) -> Shareable:
    """The task as steps from what the site holds; as it is where there are none."""
    dxo = from_shareable(shareable)
    version = int(shareable.get_header(AppConstants.CURRENT_ROUND))
    own: Arrays = dxo.data
    name = run.replica(version, own)
    sent = run.sent()
    if held == name:
        steps: list[list[bytes]] = []
    elif sent is not None and sent.base == version - 1 and held == sent.replica(own):
        found = sent.part(own)
        if found is None:
            return shareable
        steps = [[member_bits(sorted(own), message.names), message.payload] for message in found]
    else:
        return shareable
    return with_content(DXO(DataKind.APP_DEFINED, data={REPLICA: name, STEPS: steps}), shareable)


def _with_counted(task: Shareable, site: str, run: ServerRun) -> Shareable:
    """The task with what counted of the site's update, where that was not all of it."""
    told = run.counted(site)
    if told is None:
        return task
    new = with_content(from_shareable(task), task)  # the old one may be of all sites
    new.set_header(COUNTED, list(told))
    return new


def _modalities(run: ServerRun, fl_ctx: FLContext) -> tuple[str, ...]:
    """Those of the site that asks; none for somebody in its name."""
    peer = fl_ctx.get_peer_context()
    site = peer.get_prop(ReservedKey.IDENTITY_NAME)
    if not is_sender(site, peer.get_prop(TOKEN), fl_ctx) or site not in run.admitted:
        return ()
    return run.admitted[site].modalities


def _versions(run: ServerRun, task: Shareable) -> Mapping[str, object]:
    best, last = run.state.best, run.state.version
    owner = model_name(str(task.get_header(AppConstants.MODEL_OWNER, "")))
    version = best.version if best and owner == MODEL_BEST else last
    return {VERSION: version, KEPT: sorted({*run.state.course.kept, last})}
