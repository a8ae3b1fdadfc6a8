"""The layout of most phantoms: ``images/``, ``labels/`` and a label table, one image per case."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.phantoms.body import Layout


def _tables(organs: Sequence[str], splits: Mapping[str, str]) -> dict[str, Any]:
    return {"labels.json": {organ: value for value, organ in enumerate(organs, start=1)}}


PLAIN = Layout(
    dataset="phantom",
    split="dataset",
    several=False,
    case=lambda number: f"phantom_{number:04d}",
    image=lambda case, modality: f"images/{case}.nii.gz",
    label=lambda case: f"labels/{case}.nii.gz",
    tables=_tables,
)
