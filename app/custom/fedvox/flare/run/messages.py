"""Names and forms of what travels between server and sites beside the weights."""

from collections.abc import Collection, Mapping
from typing import Any

from fedvox.aggregation.claims import read_claims
from fedvox.aggregation.update import Arrays, Update
from fedvox.data.organs import MODALITIES

REGISTRATION = "fedvox_registration"
MEMORY = "fedvox_memory"
VERSION = "fedvox_version"
"""Header of a task: rounds that its model has behind it."""
KEPT = "fedvox_kept_versions"
"""Header of a task: versions of the global model that may still be asked for."""
REPLICA = "fedvox_replica"
"""Names a version of the model that a site holds: of the site, and in compressed messages."""
COUNTED = "fedvox_counted"
"""Header of a compressed training task: the last round whose update of the site did not count in
full, and the share that did."""
STEPS = "fedvox_steps"
"""In a compressed task: what leads from the version before to the task's."""
PAYLOAD = "fedvox_payload"
"""In a compressed result: the update."""
FAILURE = "fedvox_failure"
TASK_TRAIN = "train"
TASK_VALIDATE = "validate"
TASK_SUBMIT = "submit_model"
SERVER_PREFIX = "SRV_"
MODEL_BEST = "global_best"
MODEL_LAST = "global_last"
META = "fedvox"
ATTACHED = "fedvox_attached"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What reading a malformed message can raise."""


def update_from(
    site: str,
    claims: Mapping[str, Any],
    arrays: Arrays,
    round_index: int,
    modalities: Collection[str] = MODALITIES,
    attached: Any = None,
) -> Update:
    """Rebuilds an update at the server, from claims of the same forms as at the sender.

    Args:
        site: the sender's authenticated name.
        claims: from :func:`fedvox.aggregation.claims.claims_of`, untrusted.
        arrays: the weights, untrusted.
        round_index: the round that the transport says the result belongs to.
        modalities: the job's.
        attached: what came beside the weights, untrusted; None for nothing.

    Raises:
        FormError: a claim is unknown or not of its form.
    """
    known = read_claims(claims, modalities) | {"round": round_index}
    beside = {} if attached is None else attached
    return Update(site=site, arrays=arrays, attached=beside, **known)
