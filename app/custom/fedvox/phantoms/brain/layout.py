"""BraTS' layout since 2023, as ``data/readers/brats.py`` reads it, with a list of splits."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.data.cases.splits import SPLITS
from fedvox.data.readers.brats import FAMILIES, MASK
from fedvox.phantoms.body import Layout

_FAMILY = FAMILIES[-1]


def _file(case: str, suffix: str) -> str:
    return f"{case}/{case}{_FAMILY.separator}{suffix}.nii.gz"


def _tables(organs: Sequence[str], splits: Mapping[str, str]) -> dict[str, Any]:
    parts = {part: [case for case in splits if splits[case] == part] for part in SPLITS}
    return {"split.json": parts}


BRATS = Layout(
    dataset="brats",
    split="split.json",
    several=True,
    case=lambda number: f"Phantom-BraTS-{number:05d}-000",
    image=lambda case, modality: _file(case, _FAMILY.suffixes[modality]),
    label=lambda case: _file(case, MASK),
    tables=_tables,
)
