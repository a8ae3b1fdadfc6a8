"""Medical Segmentation Decathlon and nnU-Net v2 layouts.

MSD: ``imagesTr``, ``labelsTr`` and ``dataset.json`` with ``training``, ``labels`` (value -> name)
and ``modality``. nnU-Net: image names end in ``_0000``, labels map name -> value, ``channel_names``
in place of ``modality``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.data.case import Case, LabelFile
from fedvox.data.readers.labels import label_values
from fedvox.data.readers.plain import single_modality, stem, volumes
from fedvox.errors import ConfigError, DataError

_MODALITY_WORDS = {"ct": "ct", "mri": "mr", "mr": "mr", "t1": "mr", "t2": "mr", "flair": "mr"}


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the labelled cases of an MSD or nnU-Net folder.

    Args:
        root: folder that holds ``dataset.json``.
        modalities: exactly one; must agree with ``dataset.json`` where that names it.

    Raises:
        DataError: a part of the layout is missing or names another modality.
    """
    modality = single_modality(modalities)
    if not (root / "dataset.json").is_file():
        raise DataError("the data folder has no dataset.json; check 'root' or use \"plain\"")
    listing = read_json(root / "dataset.json")
    _check_modality(listing, modality)
    values = label_values(_labels(listing), "dataset.json")
    cases = []
    for image, label in _pairs(root, listing):
        name = stem(label)
        cases.append(Case(name, name, {modality: image}, (LabelFile(label, values),)))
    if not cases:
        raise DataError("dataset.json lists no training case and imagesTr holds none")
    return cases


def _labels(listing: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = listing.get("labels")
    if not isinstance(labels, Mapping):
        raise DataError("dataset.json has no 'labels' table; add it")
    return labels


def _pairs(root: Path, listing: Mapping[str, Any]) -> list[tuple[Path, Path]]:
    """Image and label paths, from the list in ``dataset.json`` or from the folder."""
    if listing.get("training"):
        return [
            (root / str(entry["image"]), root / str(entry["label"]))
            for entry in listing["training"]
        ]
    pairs = []
    for label in volumes(root / "labelsTr"):
        suffix = label.name.removeprefix(stem(label))
        plain = root / "imagesTr" / label.name
        channel = root / "imagesTr" / f"{stem(label)}_0000{suffix}"
        pairs.append((channel if channel.exists() else plain, label))
    return pairs


def _check_modality(listing: Mapping[str, Any], modality: str) -> None:
    channels = listing.get("modality") or listing.get("channel_names") or {}
    if len(channels) > 1:
        raise ConfigError(f"dataset.json lists {len(channels)} channels; one is supported here")
    for word in channels.values():
        known = _MODALITY_WORDS.get(str(word).lower())
        if known and (known == "ct") != (modality == "ct"):
            raise DataError(
                f"dataset.json says '{word}', the site file says '{modality}'; correct one of them"
            )
