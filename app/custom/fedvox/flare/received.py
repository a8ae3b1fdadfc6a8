"""Which model a site was sent: its owner and its tensors' names, shapes and types, noted by a
site's filter."""

from collections.abc import Collection, Mapping

import numpy as np
from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

from fedvox.encryption.cipher import is_sealed
from fedvox.errors import ConfigError
from fedvox.flare.run.messages import REGISTRATION
from fedvox.flare.run.places import load_job
from fedvox.job.model import initial_model, job_parts
from fedvox.job.weights import weights_of
from fedvox.privacy.outgoing import Signature, signature_of

RECEIVED = "fedvox_received_model"
ARRAYS = "fedvox_received_arrays"
OWNER = "fedvox_received_owner"


class ReceivedModel(Filter):
    """Notes what model a task brings, and lets every task through unchanged.

    It stands in ``local/privacy.json`` under ``task_data_filters``, before the job's own filters.
    The note lies in the run's context: a later task of the run that brings no model finds it too.
    A task that FLARE sends again writes the same note.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Returns the task as it came.

        Raises:
            ConfigError: something else in the run holds the note's place.
        """
        try:
            dxo = from_shareable(shareable)
        except ValueError:  # a task without a model, such as submit_model
            return shareable
        if dxo.data_kind != DataKind.WEIGHTS:
            return shareable
        owner = str(shareable.get_header(AppConstants.MODEL_OWNER, ""))
        _note(fl_ctx, OWNER, owner, sticky=True)
        if is_sealed(dxo.data):  # it is opened later; what may leave is what the job describes
            return shareable
        _note(fl_ctx, RECEIVED, signature_of(dxo.data), sticky=True)
        # for this task alone: with its end the memory is free again
        _note(fl_ctx, ARRAYS, dxo.data, sticky=False)
        return shareable


def _note(fl_ctx: FLContext, name: str, value: object, sticky: bool) -> None:
    if not fl_ctx.set_prop(name, value, private=True, sticky=sticky):
        raise ConfigError(f"the job uses the property '{name}'; it belongs to fedvox")


def received_arrays(fl_ctx: FLContext) -> Mapping[str, np.ndarray]:
    """The arrays of the model that this task brought.

    Raises:
        ConfigError: it brought none, or nobody noted them.
    """
    arrays: Mapping[str, np.ndarray] | None = fl_ctx.get_prop(ARRAYS)
    if arrays is None:
        raise ConfigError("the task brought no model to compare with; nothing was sent")
    return arrays


def received_model(fl_ctx: FLContext) -> Signature:
    """The model of this task, else the last one that this process received.

    A process that received none, as after a restart between the last round and the evaluation,
    takes what travels of the network that the job describes.

    Raises:
        ConfigError: no model was received and the job describes none.
    """
    noted: Signature | None = fl_ctx.get_prop(RECEIVED)
    if noted is None:
        weights = weights_of(initial_model(load_job(fl_ctx)))
        own = own_tensors(weights, fl_ctx)
        noted = signature_of({name: array for name, array in weights.items() if name in own})
        # compressed tasks bring no weights: without this each would make the network anew
        fl_ctx.set_prop(RECEIVED, noted, private=True, sticky=True)
    return noted or {}


def own_tensors(names: Collection[str], fl_ctx: FLContext) -> frozenset[str]:
    """Those of a model's tensors that travel between this site and the server.

    Args:
        names: all tensors of the job's network, or some.
        fl_ctx: a context of the site; the modalities are those that it registered.

    Raises:
        ConfigError: the job describes no network, or its ``training.personal`` does not fit it.
    """
    registered = fl_ctx.get_prop(REGISTRATION) or {}
    return job_parts(load_job(fl_ctx)).travelling(names, registered.get("modalities", ()))


def received_owner(fl_ctx: FLContext) -> str:
    """Whose model the last task brought, as FLARE writes it; empty for a task of training."""
    return str(fl_ctx.get_prop(OWNER, ""))
