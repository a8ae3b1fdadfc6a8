"""Compression and encryption at the site: job filters, inert unless ``training.json`` asks."""

from typing import Any

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

from fedvox.compression.codec import decode
from fedvox.compression.replica import members, moved
from fedvox.compression.schema import Schema
from fedvox.compression.threads import usable_threads
from fedvox.encryption.cipher import seal
from fedvox.errors import ConfigError
from fedvox.flare.received import own_tensors
from fedvox.flare.run.messages import COUNTED, PAYLOAD, REPLICA, STEPS
from fedvox.flare.run.places import load_job
from fedvox.flare.run.site_setup import find_site
from fedvox.flare.run.tasks import with_content
from fedvox.flare.sealed import opened, site_keys
from fedvox.job.settings import JobSettings
from fedvox.training.replica import Replica, drop_replica, load_replica, save_replica
from fedvox.training.state import count_residual
from fedvox.training.uplink import compress_update

HELD = "fedvox_held_model"


class ReceiveModel(Filter):
    """Turns a compressed training task into the model, and keeps that as the site's replica.

    It stands in a job under the site's ``task_data_filters`` for ``train``. A whole model replaces
    the replica. What the site holds it tells the server with every request, so that a task which is
    sent again, or to a site that was started again, fits. The task may also say that an update did
    not count in full; what it left out then does not either. An encrypted model it opens.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The task with the model in it.

        Raises:
            ConfigError: the steps do not lead from what the site holds to what the server names;
                the next task then brings the whole model.
        """
        job = load_job(fl_ctx)
        if job.compression is None and job.encryption is None:
            return shareable
        dxo = from_shareable(shareable)
        version = int(shareable.get_header(AppConstants.CURRENT_ROUND))
        if job.encryption is not None:
            model = Replica(version, opened(dxo.data, job, fl_ctx))
            fl_ctx.set_prop(HELD, model, private=True, sticky=True)
            return with_content(DXO(DataKind.WEIGHTS, data=dict(model.arrays)), shareable)
        state = find_site(fl_ctx, job)[1]
        if told := shareable.get_header(COUNTED):
            count_residual(state, int(told[0]), float(told[1]))
        try:
            replica = _next(dxo, version, _held(fl_ctx, job))
        except Exception as error:
            drop_replica(state)
            _keep(None, fl_ctx)
            raise ConfigError(
                f"the compressed model cannot be used ({error}); the next task brings it whole"
            ) from None
        save_replica(replica, state)
        _keep(replica, fl_ctx)
        return with_content(DXO(DataKind.WEIGHTS, data=dict(replica.arrays)), shareable)


class SendUpdate(Filter):
    """Compresses or encrypts an update after the site's policy has looked at it.

    It stands in a job under the site's ``task_result_filters`` for ``train``.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The result with compressed weights and the same claims.

        Raises:
            ConfigError: the task's model did not come through :class:`ReceiveModel`.
        """
        job = load_job(fl_ctx)
        inert = job.compression is None and job.encryption is None
        if inert or shareable.get_return_code() not in (None, ReturnCode.OK):
            return shareable
        dxo = from_shareable(shareable)
        if job.encryption is not None:
            hidden = seal(dxo.data, site_keys(fl_ctx))
            return with_content(DXO(DataKind.WEIGHTS, data=hidden, meta=dxo.meta), shareable)
        replica: Replica | None = fl_ctx.get_prop(HELD)
        if replica is None:
            raise ConfigError(
                "'compression' is set and the job's config_fed_client.json does not name "
                "fedvox.flare.compress.ReceiveModel under 'task_data_filters', as jobs/fedgin does"
            )
        state = find_site(fl_ctx, job)[1]
        sent = compress_update(dxo.data, replica.arrays, job, replica.version, state)
        data = {REPLICA: replica.name, PAYLOAD: sent.payload}
        return with_content(DXO(DataKind.APP_DEFINED, data=data, meta=dxo.meta), shareable)


def publish_replica(fl_ctx: FLContext, job: JobSettings) -> None:
    """At a site's start: tells the server which version of the model the site holds."""
    if job.compression is not None:
        _keep(_held(fl_ctx, job), fl_ctx)


def _held(fl_ctx: FLContext, job: JobSettings) -> Replica:
    """What the site holds: as this process knows, else from disk, else the initial model."""
    held: Replica | None = fl_ctx.get_prop(HELD)
    if held is not None:
        return held
    from fedvox.job.model import initial_model
    from fedvox.job.weights import weights_of

    names = own_tensors(weights_of(initial_model(job)), fl_ctx)
    return load_replica(job, names, find_site(fl_ctx, job)[1])


def _keep(replica: Replica | None, fl_ctx: FLContext) -> None:
    """Remembers what the site holds, and puts its name into what the server sees."""
    fl_ctx.set_prop(HELD, replica, private=True, sticky=True)
    name = "" if replica is None else replica.name
    fl_ctx.set_prop(REPLICA, name, private=False, sticky=True)


def _next(dxo: DXO, version: int, held: Replica) -> Replica:
    """The version of the task, from a whole model or from steps."""
    if dxo.data_kind == DataKind.WEIGHTS:
        return Replica(version, dict(dxo.data))
    data: dict[str, Any] = dxo.data
    arrays, names = dict(held.arrays), sorted(held.arrays)
    for member, payload in data[STEPS]:
        own = {name: arrays[name] for name in members(names, member)}
        arrays |= moved(own, decode(payload, Schema.of(own), usable_threads()))
    replica = Replica(version, arrays)
    if replica.name != data[REPLICA]:
        raise ConfigError("it leads to another model than the server's")
    return replica
