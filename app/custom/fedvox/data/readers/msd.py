"""Medical Segmentation Decathlon and nnU-Net v2 layouts.

MSD: ``imagesTr``, ``labelsTr`` and ``dataset.json`` with ``training``, ``labels`` (value -> name)
and ``modality``. nnU-Net: image names end in ``_0000``, labels map name -> value, ``channel_names``
in place of ``modality``.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.data.case import Case, LabelFile
from fedvox.data.readers.labels import label_values
from fedvox.data.readers.plain import refuse_repeated, single_modality, stem, volumes
from fedvox.errors import ConfigError, DataError

_MODALITY_WORDS = {"ct": "ct", "mri": "mr", "mr": "mr", "t1": "mr", "t2": "mr", "flair": "mr"}
_FOREIGN_WORDS = ("pet", "spect", "us", "ultrasound", "x-ray", "xray", "rgb")


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the labelled cases of an MSD or nnU-Net folder.

    Args:
        root: folder that holds ``dataset.json``.
        modalities: exactly one; must agree with ``dataset.json`` where that names it.

    Raises:
        DataError: a part of the layout is missing, names another modality or leads out of ``root``.
    """
    modality = single_modality(modalities)
    if not (root / "dataset.json").is_file():
        raise DataError("the data folder has no dataset.json; check 'root' or use \"plain\"")
    listing = read_json(root / "dataset.json", "dataset.json")
    _check_modality(listing, modality)
    values = label_values(_labels(listing), "dataset.json")
    cases = []
    for image, label in _pairs(root, listing):
        name = stem(label)
        cases.append(Case(name, name, {modality: image}, (LabelFile(label, values),)))
    if not cases:
        raise DataError("dataset.json lists no training case and imagesTr holds none")
    refuse_repeated(cases)
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
            (_inside(root, entry["image"]), _inside(root, entry["label"]))
            for entry in listing["training"]
        ]
    pairs = []
    for label in volumes(root / "labelsTr"):
        suffix = label.name.removeprefix(stem(label))
        plain = root / "imagesTr" / label.name
        channel = root / "imagesTr" / f"{stem(label)}_0000{suffix}"
        pairs.append((channel if channel.exists() else plain, label))
    return pairs


def _inside(root: Path, entry: object) -> Path:
    """A listed path below ``root``; links inside are followed, as data sets may be linked in."""
    if not isinstance(entry, str):
        raise DataError("dataset.json: each 'image' and 'label' must be a text; mend the list")
    path = root / entry
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
        raise DataError(
            "dataset.json lists a file outside 'root'; list paths below the data folder only"
        )
    return path


def _channels(listing: Mapping[str, Any]) -> list[str]:
    """The words of ``modality`` or ``channel_names``: a table, a list or one text."""
    found = listing.get("modality") or listing.get("channel_names") or []
    if isinstance(found, str):
        found = [found]
    words = list(found.values()) if isinstance(found, Mapping) else found
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError('dataset.json: "modality" must name the channels, as {"0": "CT"}; mend it')
    return words


def _check_modality(listing: Mapping[str, Any], modality: str) -> None:
    channels = _channels(listing)
    if len(channels) > 1:
        raise ConfigError(f"dataset.json lists {len(channels)} channels; one is supported here")
    for word in channels:
        plain = word.strip().lower()
        if plain in _FOREIGN_WORDS:
            raise DataError(
                f"dataset.json says '{plain}', the site file says '{modality}'; only CT and MRI "
                "can be used"
            )
        known = _MODALITY_WORDS.get(plain)
        if known and (known == "ct") != (modality == "ct"):
            raise DataError(
                f"dataset.json says '{word}', the site file says '{modality}'; correct one of them"
            )
