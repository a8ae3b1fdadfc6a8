"""Names and forms of what travels between server and sites beside the weights."""

from collections.abc import Mapping
from typing import Any

from fedvox.aggregation.update import Arrays, Update
from fedvox.privacy.outgoing import CLAIMS

REGISTRATION = "fedvox_registration"
MEMORY = "fedvox_memory"
FAILURE = "fedvox_failure"
TASK_TRAIN = "train"
TASK_VALIDATE = "validate"
TASK_SUBMIT = "submit_model"
SERVER_PREFIX = "SRV_"
MODEL_BEST = "global_best"
MODEL_LAST = "global_last"
META = "fedvox"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What reading a malformed message can raise."""


def claims_of(update: Update) -> dict[str, Any]:
    """What a site says of its update, as plain values."""
    values = {name: getattr(update, name) for name in sorted(CLAIMS)}
    values["validation"] = {k: [d, n] for k, (d, n) in update.validation.items()}
    return values


def update_from(site: str, claims: Mapping[str, Any], arrays: Arrays, round_index: int) -> Update:
    """Rebuilds an update at the server.

    Args:
        site: the sender's authenticated name.
        claims: from :func:`claims_of`, untrusted.
        arrays: the weights, untrusted.
        round_index: the round that the transport says the result belongs to.
    """
    return Update(
        site=site,
        round=round_index,
        arrays=arrays,
        cases=int(claims.get("cases", 0)),
        steps=int(claims.get("steps", 0)),
        modality=str(claims.get("modality", "")),
        loss=float(claims.get("loss", float("nan"))),
        seconds=float(claims.get("seconds", 0.0)),
        data_wait=_share(claims.get("data_wait")),
        validation=validation_from(claims.get("validation") or {}),
        down_bytes=int(claims.get("down_bytes", 0)),
    )


def _share(claimed: Any) -> float:
    """A claimed share, NaN where it is none."""
    share = float("nan") if claimed is None else float(claimed)
    return share if 0.0 <= share <= 1.0 else float("nan")


def validation_from(claimed: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    """Reads a site's validation scores: modality -> (mean Dice, cases), as far as they can be."""
    return {str(modality): _score(entry) for modality, entry in claimed.items()}


def _score(entry: Any) -> tuple[float, int]:
    """A claimed Dice and case count, clamped to what they can be."""
    dice, cases = float(entry[0]), int(entry[1])
    if not 0.0 <= dice <= 1.0:
        return 0.0, 0
    return dice, max(0, min(cases, 1_000_000))
