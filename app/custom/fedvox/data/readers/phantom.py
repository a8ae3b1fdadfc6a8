"""Phantom folder, as ``fedvox phantom`` writes it: a plain folder plus ``phantom.json``."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fedvox.config import read_json
from fedvox.data.cases.case import Case
from fedvox.data.readers import plain
from fedvox.errors import DataError


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the cases of a phantom folder with the split that it was written with.

    Raises:
        DataError: no ``phantom.json``, or it was rendered as another modality.
    """
    if not (root / "phantom.json").is_file():
        raise DataError("the folder has no phantom.json; write phantoms with 'fedvox phantom'")
    listing = read_json(root / "phantom.json", "phantom.json")
    modality = plain.single_modality(modalities)
    if listing["modality"] != modality:
        raise DataError(
            f"phantom.json says '{listing['modality']}', the site file says '{modality}'"
        )
    splits = {entry["id"]: entry["split"] for entry in listing["cases"]}
    cases = plain.read(root, modalities)
    return [dataclasses.replace(case, split=splits[case.id]) for case in cases]
