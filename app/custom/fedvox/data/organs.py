"""Canonical structure names: the contract between sites that label the same organ differently."""

import hashlib
from collections.abc import Sequence

from fedvox.errors import ConfigError

ABDOMEN = (
    "liver",
    "spleen",
    "kidney_right",
    "kidney_left",
    "pancreas",
    "gallbladder",
    "stomach",
    "oesophagus",
    "aorta",
    "inferior_vena_cava",
    "adrenal_right",
    "adrenal_left",
    "duodenum",
    "bladder",
    "prostate_uterus",
)
BRAIN = ("hippocampus_anterior", "hippocampus_posterior")
CANONICAL = ABDOMEN + BRAIN

_ALIASES = {
    "right_kidney": "kidney_right",
    "left_kidney": "kidney_left",
    "gall_bladder": "gallbladder",
    "esophagus": "oesophagus",
    "postcava": "inferior_vena_cava",
    "arota": "aorta",
    "right_adrenal_gland": "adrenal_right",
    "left_adrenal_gland": "adrenal_left",
    "adrenal_gland_right": "adrenal_right",
    "adrenal_gland_left": "adrenal_left",
    "urinary_bladder": "bladder",
    "anterior": "hippocampus_anterior",
    "posterior": "hippocampus_posterior",
}

MODALITIES = ("ct", "mr", "t1", "t1ce", "t2", "flair")


def canonical_organ(name: str) -> str | None:
    """Returns the canonical name of a data set's label name, or None when FedVox has none.

    Letter case, blanks and hyphens do not matter: ``"Right Kidney"`` gives ``"kidney_right"``.
    """
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in CANONICAL else None


def check_organs(organs: Sequence[str]) -> None:
    """Refuses a job's organ list that is empty, repeats a name or holds an unknown one.

    Raises:
        ConfigError: names the organ and lists the known ones.
    """
    if not organs:
        raise ConfigError("'data.organs' is empty; list at least one organ")
    for organ in organs:
        if organ not in CANONICAL:
            raise ConfigError(
                f"'data.organs' holds unknown organ '{organ}'; known: {', '.join(CANONICAL)}"
            )
    if len(set(organs)) != len(organs):
        raise ConfigError("'data.organs' names an organ twice; name each once")


def label_map_hash(organs: Sequence[str]) -> str:
    """Fingerprint of the label map (organ i has value i + 1), compared in the handshake."""
    return hashlib.sha256("\n".join(organs).encode()).hexdigest()[:16]
