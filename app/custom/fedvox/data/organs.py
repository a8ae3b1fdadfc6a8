"""Canonical structure names: the contract between sites that label the same organ differently."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from fedvox.data.structures import STRUCTURES, of_body
from fedvox.errors import ConfigError
from fedvox.suggest import hint

ABDOMEN, BRAIN, HEART, TUMOURS = map(of_body, ("abdomen", "brain", "heart", "tumour"))
CANONICAL = tuple(structure.name for structure in STRUCTURES)

PARENTS = {structure.name: structure.parent for structure in STRUCTURES if structure.parent}
"""Part -> the organ that it belongs to wherever it is not told apart."""

REGIONS = {
    "tumour_whole": ("tumour_necrotic", "tumour_oedema", "tumour_enhancing"),
    "tumour_core": ("tumour_necrotic", "tumour_enhancing"),
}
"""Overlapping regions that are scored, though not trained: name -> the structures they unite."""

ALIASES = {alias: structure.name for structure in STRUCTURES for alias in structure.aliases}
"""Names of public sets -> ours."""

IGNORE = "ignore"
"""What a label table calls voxels that nobody annotated; a structure of no organ."""

IGNORED = 255
"""The value of such voxels in prepared labels; they teach nothing and are not scored."""

UNLABELLED = ("void", "unlabeled", "unlabelled", "unannotated")
"""Names that mean the same, but the background where their value is 0."""

_IGNORE_NAMES = (IGNORE, "ignored", "ignore_label", *UNLABELLED)

MODALITIES = ("ct", "mr", "t1", "t1ce", "t2", "flair")


def canonical_organ(name: str) -> str | None:
    """Returns the canonical name of a data set's label name, or None when FedVox has none.

    Letter case, blanks and hyphens do not matter: ``"Right Kidney"`` gives ``"kidney_right"``.
    """
    plain = ALIASES.get(plain_name(name), plain_name(name))
    return plain if plain in CANONICAL else None


def plain_name(name: str) -> str:
    """A structure's name without what does not matter in it: letter case, blanks, hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def structure_of(name: str) -> str | None:
    """As :func:`canonical_organ`, or :data:`IGNORE` for voxels without any annotation."""
    return IGNORE if plain_name(name) in _IGNORE_NAMES else canonical_organ(name)


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
                f"'data.organs' holds unknown organ '{organ}'; "
                f"{hint(canonical_organ(organ) or organ, CANONICAL)}known: {', '.join(CANONICAL)}"
            )
    if len(set(organs)) != len(organs):
        raise ConfigError("'data.organs' names an organ twice; name each once")


def trained_as(organ: str | None, organs: Sequence[str], annotated: Collection[str]) -> str | None:
    """The organ of the job that a labelled voxel teaches.

    Args:
        organ: what the label says, None for a structure without a canonical name.
        organs: the job's organs.
        annotated: organs that the case annotates.

    Returns:
        The organ itself, else its parent where job and case have that, else None: background.
    """
    if organ in organs:
        return organ
    parent = PARENTS.get(organ or "")
    return parent if parent in organs and parent in annotated else None


def parent_pairs(organs: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Places ``(part, parent)`` in the job's list of each part whose parent the job trains too."""
    return tuple(
        (organs.index(part), organs.index(parent))
        for part, parent in PARENTS.items()
        if part in organs and parent in organs
    )


def scored_structures(
    organs: Sequence[str], annotated: Collection[str]
) -> dict[str, tuple[int, ...]]:
    """What can be scored in a case, and which label values make it up.

    Args:
        organs: the job's organs; organ i has label value i + 1.
        annotated: organs that the case annotates.

    Returns:
        Each annotated organ of the job in its order, with the parts that the job trains and the
        case does not tell apart; then each region whose structures are all annotated.
    """
    value = {organ: place for place, organ in enumerate(organs, start=1)}
    found = {
        organ: (value[organ], *(value[p] for p in _hidden_parts(organ, organs, annotated)))
        for organ in organs
        if organ in annotated
    }
    for region, parts in REGIONS.items():
        if all(part in found for part in parts):
            found[region] = tuple(value[part] for part in parts)
    return found


def mask_of(labels: Any, values: Sequence[int]) -> Any:
    """Boolean mask of the voxels that have one of the values; for arrays and tensors."""
    mask = labels == values[0]
    for value in values[1:]:
        mask = mask | (labels == value)
    return mask


def _hidden_parts(organ: str, organs: Sequence[str], annotated: Collection[str]) -> list[str]:
    return [
        part
        for part, parent in PARENTS.items()
        if parent == organ and part in organs and part not in annotated
    ]


def label_map_hash(organs: Sequence[str]) -> str:
    """Fingerprint of the label map (organ i has value i + 1), compared in the handshake."""
    return hashlib.sha256("\n".join(organs).encode()).hexdigest()[:16]
