"""Medical Segmentation Decathlon and nnU-Net layouts.

MSD: ``imagesTr``, ``labelsTr`` and ``dataset.json`` with ``training``, ``labels`` (value -> name)
and ``modality``. nnU-Net: image names end in ``_0000``, whether the list says so or not; from
version 2 on ``labels`` maps name -> value, ``channel_names`` stands in place of ``modality``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.organ_names import shown
from fedvox.data.readers.labels import LabelTable, label_table
from fedvox.data.readers.msd_list import (
    CHANNEL,
    Pair,
    bare,
    channel_key,
    few_channels,
    listed_tests,
    pairs,
)
from fedvox.data.readers.plain import refuse_repeated, single_modality, stem
from fedvox.data.readers.strays import Stray, entries, foreign_only, found, unused
from fedvox.errors import ConfigError, DataError

_MODALITY_WORDS = {"ct": "ct", "mri": "mr", "mr": "mr", "t1": "mr", "t2": "mr", "flair": "mr"}
_FOREIGN_WORDS = ("pet", "pt", "spect", "us", "ultrasound", "x-ray", "xray", "rgb")


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the labelled cases of an MSD or nnU-Net folder.

    Args:
        root: folder that holds ``dataset.json``.
        modalities: exactly one; must agree with ``dataset.json`` where that names it.

    Raises:
        ConfigError: several channels.
        DataError: a part of the layout is missing, names another modality or leads out of ``root``.
    """
    modality = single_modality(modalities)
    listing = _listing(root)
    _check_modality(listing, modality)
    table = _labels(listing)
    cases = []
    for pair in pairs(root, listing):
        name, labels = stem(pair.label), (LabelFile(pair.label, table.values),)
        cases.append(Case(name, name, {modality: pair.image}, labels, others=table.others))
    if not cases:
        raise DataError(
            foreign_only(root / "labelsTr", "labelsTr holds no NIfTI")
            or "dataset.json lists no training case and labelsTr holds none; check 'root'"
        )
    refuse_repeated(cases)
    return cases


def strays(root: Path) -> list[Stray]:
    """What lies in ``imagesTr`` and ``labelsTr`` and belongs to no case, and cases listed as tests.

    Args:
        root: as for :func:`read`.
    """
    listing = _listing(root)
    cases = pairs(root, listing)
    return [
        *found(_channels_beside(root, cases), _mispaired(cases)),
        *unused(
            root / "imagesTr",
            [*(pair.image for pair in cases), *_channels_beside(root, cases).paths],
            "images in imagesTr/ that no training case uses",
            "add its label, and both to 'training' if there is such a list, or move it to imagesTs",
        ),
        *unused(
            root / "labelsTr",
            [pair.label for pair in cases],
            "labels in labelsTr/ that no training case uses",
            "add each to the list 'training' with its image, or move it elsewhere",
        ),
        *found(_both(cases, listed_tests(root, listing))),
    ]


def _channels_beside(root: Path, cases: Sequence[Pair]) -> Stray:
    """Files of a case's second and further channels."""
    names = {bare(pair.image) for pair in cases}
    paths = [
        path
        for path in entries(root / "imagesTr")
        if (number := re.search(r"_(\d{4})$", stem(path)))
        and number[0] != CHANNEL
        and stem(path).removesuffix(number[0]) in names
    ]
    return Stray(
        "images of a second or further channel, which is not used",
        "leave them if the first one (_0000) is what to train, else make a folder of that channel",
        tuple(paths),
    )


def _mispaired(cases: Sequence[Pair]) -> Stray:
    """Cases whose label has the name of another case's image: a list that slipped by a line."""
    images = {bare(pair.image) for pair in cases}
    wrong = [pair for pair in cases if bare(pair.image) != stem(pair.label)]
    return Stray(
        "cases that dataset.json gives the label of another case's name",
        "look at the list 'training', and give each image the label of its own name",
        tuple(pair.image for pair in wrong if stem(pair.label) in images),
    )


def _both(cases: Sequence[Pair], tests: set[Path]) -> Stray:
    return Stray(
        "cases that dataset.json lists under 'training' and under 'test'",
        "take each out of one of the two lists; as long as it stands under 'training' it is used",
        tuple(pair.image for pair in cases if pair.image in tests),
    )


def _listing(root: Path) -> dict[str, Any]:
    if not (root / "dataset.json").is_file():
        raise DataError("the data folder has no dataset.json; check 'root' or use \"plain\"")
    return read_json(root / "dataset.json", "dataset.json")


def _labels(listing: Mapping[str, Any]) -> LabelTable:
    labels = listing.get("labels")
    if not isinstance(labels, Mapping):
        raise DataError("dataset.json has no 'labels' table; add one, as {\"liver\": 1}")
    return label_table(labels, "dataset.json")


def _channels(listing: Mapping[str, Any]) -> list[str]:
    """The words of ``modality`` or ``channel_names``: a table, a list or one text."""
    key = channel_key(listing)
    named = listing.get(key) or []
    if isinstance(named, str):
        named = [named]
    words = list(named.values()) if isinstance(named, Mapping) else named
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f'dataset.json: "{key}" must name the channels, as {{"0": "CT"}}; mend it')
    return words


def _said(word: str) -> tuple[str, str]:
    """What a channel's name says: ``ct``, ``mr`` or nothing, and a modality that no job trains."""
    plain = word.strip().lower()
    parts = [plain, *re.split(r"[^a-z0-9-]+", plain)]
    known = [_MODALITY_WORDS.get(part.removesuffix("w"), "") for part in parts]
    foreign = [part for part in parts if part in _FOREIGN_WORDS]
    return next(filter(None, known), ""), next(iter(foreign), "")


def _check_modality(listing: Mapping[str, Any], modality: str) -> None:
    channels = _channels(listing)
    if len(channels) > 1:
        raise ConfigError(f"dataset.json lists {len(channels)} channels; {few_channels(listing)}")
    for word in channels:
        known, foreign = _said(word)
        if foreign and not known:
            raise DataError(
                f"dataset.json says '{foreign}', the site file says '{modality}'; only CT and MRI "
                "can be used"
            )
        if known and (known == "ct") != (modality == "ct"):
            raise DataError(
                f"dataset.json says {shown(word.strip())}, the site file says '{modality}'; "
                "correct one of them"
            )
