"""Names and forms of what travels between server and sites beside the weights."""

from collections.abc import Collection, Mapping
from typing import Any

from fedvox.aggregation.update import Arrays, Update
from fedvox.data.organs import MODALITIES
from fedvox.privacy.forms import CLAIMS, check_claims

REGISTRATION = "fedvox_registration"
MEMORY = "fedvox_memory"
VERSION = "fedvox_version"
"""Header of a task: rounds that its model has behind it."""
KEPT = "fedvox_kept_versions"
"""Header of a task: versions of the global model that may still be asked for."""
FAILURE = "fedvox_failure"
TASK_TRAIN = "train"
TASK_VALIDATE = "validate"
TASK_SUBMIT = "submit_model"
SERVER_PREFIX = "SRV_"
MODEL_BEST = "global_best"
MODEL_LAST = "global_last"
META = "fedvox"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What reading a malformed message can raise."""


def claims_of(update: Update) -> dict[str, Any]:
    """What a site says of its update, as plain values."""
    values = {name: getattr(update, name) for name in sorted(CLAIMS)}
    values["validation"] = {k: [d, n] for k, (d, n) in update.validation.items()}
    return values


def update_from(
    site: str,
    claims: Mapping[str, Any],
    arrays: Arrays,
    round_index: int,
    modalities: Collection[str] = MODALITIES,
) -> Update:
    """Rebuilds an update at the server, from claims of the same forms as at the sender.

    Args:
        site: the sender's authenticated name.
        claims: from :func:`claims_of`, untrusted.
        arrays: the weights, untrusted.
        round_index: the round that the transport says the result belongs to.
        modalities: the job's.

    Raises:
        FormError: a claim is unknown or not of its form.
    """
    check_claims(claims, modalities)
    return Update(
        site=site,
        round=round_index,
        arrays=arrays,
        cases=claims.get("cases", 0),
        steps=claims.get("steps", 0),
        modality=claims.get("modality", ""),
        loss=_number(claims.get("loss")),
        seconds=_number(claims.get("seconds", 0.0)),
        data_wait=_number(claims.get("data_wait")),
        validation=validation_from(claims.get("validation", {})),
        down_bytes=claims.get("down_bytes", 0),
    )


def _number(claimed: float | None) -> float:
    """A claimed number, NaN where there is none."""
    return float("nan") if claimed is None else float(claimed)


def validation_from(scores: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    """Validation scores of a known form: modality -> (mean Dice, cases)."""
    return {name: (min(float(dice), 1.0), cases) for name, (dice, cases) in scores.items()}
