"""The files that a ``dataset.json`` lists, found although the list spells them otherwise.

Lists were written on other machines: with backslashes, with folders that are no longer there, in
other letter case, without nnU-Net's ``_0000``, for ``.nii`` where ``.nii.gz`` lies.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.data.images.scans import NIFTI
from fedvox.data.readers.plain import stem, volumes
from fedvox.data.readers.strays import is_foreign, with_ending
from fedvox.errors import ConfigError, DataError

CHANNEL = "_0000"
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Pair:
    """Image and label of a training case; either may be missing."""

    image: Path
    label: Path


def bare(image: Path) -> str:
    """An image's name without ending and channel, as its label is called."""
    return stem(image).removesuffix(CHANNEL)


def channel_key(listing: Mapping[str, Any]) -> str:
    """Where ``dataset.json`` names its channels; MSD's ``modality`` holds where both stand."""
    return "modality" if listing.get("modality") else "channel_names"


def few_channels(listing: Mapping[str, Any]) -> str:
    """What to do with a data set of several channels."""
    return (
        "FedVox trains one channel so far: make a folder with the files of that channel, ending in "
        f"{CHANNEL}, and one entry in '{channel_key(listing)}'"
    )


def pairs(root: Path, listing: Mapping[str, Any]) -> list[Pair]:
    """The training cases of ``dataset.json``'s list, or of the folder where it has none.

    Args:
        root: the data folder.
        listing: content of ``dataset.json``.

    Raises:
        ConfigError: an entry has several channels.
        DataError: the list is malformed, leads out of ``root`` or names volumes in a form that is
            not read.
    """
    entries = list(_entries(listing))
    if not entries:
        return [Pair(_image_of(root, stem(path)), path) for path in volumes(root / "labelsTr")]
    _refuse_foreign(entries)
    return [
        Pair(
            _at_home(root / "imagesTr", _found(root, image, (CHANNEL, ""))),
            _at_home(root / "labelsTr", _found(root, label, ("",)), ("",)),
        )
        for image, label in entries
    ]


def listed_tests(root: Path, listing: Mapping[str, Any]) -> set[Path]:
    """Images below ``root`` that stand under ``test``; other entries are passed over."""
    tests = listing.get("test")
    names = [
        entry.get("image") if isinstance(entry, Mapping) else entry
        for entry in (tests if isinstance(tests, list) else [])
    ]
    found = set()
    for name in names:
        if isinstance(name, str):
            with suppress(DataError):  # of another machine, say: no file of this folder
                found.add(_found(root, name, (CHANNEL, "")))
    return found


def _image_of(root: Path, name: str) -> Path:
    images = root / "imagesTr"
    found = with_ending(images, f"{name}{CHANNEL}") or with_ending(images, name)
    return found or images / f"{name}{NIFTI[0]}"


def _entries(listing: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Image and label of each listed case, as written."""
    training = listing.get("training") or listing.get("dataset") or []
    if isinstance(training, Mapping):  # nnU-Net 2: {"case": {"images": [...], "label": ...}}
        training = list(training.values())
    if not isinstance(training, list):
        raise DataError("dataset.json: 'training' must be a list of cases; mend it or remove it")
    for entry in training:
        if isinstance(entry, str):  # as in 'test'; the label has the image's name
            name = entry.replace("\\", "/").rpartition("/")[2]
            yield entry, f"labelsTr/{_without_channel(name)}"
        elif isinstance(entry, Mapping):
            image = entry.get("image", entry.get("images"))
            yield _one(image, listing), _one(entry.get("label"), listing)
        else:
            raise DataError("dataset.json: each case needs 'image' and 'label'; mend the list")


def _one(entry: object, listing: Mapping[str, Any]) -> str:
    """The one file of an entry, which may be listed by channel."""
    files = list(entry.values()) if isinstance(entry, Mapping) else entry
    if isinstance(files, list):
        if len(files) > 1:
            raise ConfigError(
                f"dataset.json lists {len(files)} files for one image; {few_channels(listing)}"
            )
        entry = files[0] if files else None
    if not isinstance(entry, str) or not entry.strip():
        raise DataError("dataset.json: each 'image' and 'label' must be a text; mend the list")
    return entry


def _without_channel(name: str) -> str:
    ending = next((end for end in NIFTI if name.endswith(end)), "")
    return name.removesuffix(ending).removesuffix(CHANNEL) + ending


def _refuse_foreign(entries: list[tuple[str, str]]) -> None:
    foreign = sum(is_foreign(name) for entry in entries for name in entry)
    if foreign:
        raise DataError(
            f"dataset.json lists {foreign} volumes in a form that is not read, as .nrrd or .mha; "
            "convert images and labels to NIfTI (.nii.gz) and name those in the list"
        )


def _found(root: Path, entry: str, channels: tuple[str, ...]) -> Path:
    """The file that an entry means; where there is none, the place where it should be.

    Links inside ``root`` are followed, as data sets may be linked in.
    """
    path = _inside(root, entry)
    ending = next((end for end in NIFTI if path.name.lower().endswith(end)), "")
    name = path.name[: len(path.name) - len(ending)]
    names = [path.name] + [f"{name}{channel}{end}" for channel in channels for end in NIFTI]
    for candidate in dict.fromkeys(names):
        if (path.parent / candidate).exists():
            return path.parent / candidate
    folder = _any_case(root, path.parent)
    there = {other.name.lower(): other for other in folder.iterdir()} if folder.is_dir() else {}
    alike = [there[candidate.lower()] for candidate in names if candidate.lower() in there]
    return alike[0] if alike else path


def _at_home(home: Path, path: Path, channels: tuple[str, ...] = (CHANNEL, "")) -> Path:
    """Where a listed folder does not exist here, the file of that name in the layout's own."""
    if path.exists() or (path.parent.is_dir() and path.parent != home.parent):
        return path
    found = _found(home, path.name, channels)
    return found if found.exists() else path


def _inside(root: Path, entry: str) -> Path:
    """A listed path below ``root``.

    Of a path of another machine only what follows the data set's own folder counts.
    """
    text = entry.strip().replace("\\", "/")
    path, elsewhere = root / text, _DRIVE.match(text) is not None
    if elsewhere or (text.startswith("/") and not _is_below(path, root)):
        tail = re.search(r"/((?:images|labels)[^/]*/[^/]+)$", text, re.IGNORECASE)
        path, elsewhere = root / (tail[1] if tail else text), not tail
    if elsewhere or "\0" in text or not _is_below(path, root):
        raise DataError(
            "dataset.json lists a file outside 'root'; list paths below the data folder only"
        )
    return Path(os.path.normpath(path))


def _is_below(path: Path, root: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))


def _any_case(root: Path, folder: Path) -> Path:
    """The folder below ``root`` whose name differs in letter case at most."""
    current = Path(os.path.normpath(root))
    for part in folder.relative_to(current).parts:
        exact = current / part
        alike = [
            path
            for path in (current.iterdir() if current.is_dir() else ())
            if path.name.lower() == part.lower()
        ]
        current = exact if exact.exists() or not alike else min(alike)
    return current
