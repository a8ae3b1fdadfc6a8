"""Plain folder: ``images/`` and ``labels/`` with equal names, and ``labels.json``.

An image is a NIfTI file or a folder of one DICOM series; a series' label is a NIfTI file on the
same grid, whatever the direction of its axes, or a folder with one grey PNG per slice.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fedvox.config import read_json
from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.images.scans import NIFTI, is_series
from fedvox.data.readers.labels import label_table
from fedvox.data.readers.strays import (
    FilesError,
    Stray,
    entries,
    foreign_only,
    unused,
    with_ending,
)
from fedvox.errors import ConfigError, DataError


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the cases of a plain folder.

    Args:
        root: folder that holds ``images/``, ``labels/`` and ``labels.json``
            (``{"liver": 1, "spleen": 2}``, or the grey values of PNG).
        modalities: exactly one; a plain folder holds one modality.

    Raises:
        DataError: a part of the layout is missing, or two images share an identifier.
    """
    modality = single_modality(modalities)
    if not (root / "labels.json").is_file():
        raise DataError('the data folder has no labels.json; write one like {"liver": 1}')
    table = label_table(read_json(root / "labels.json", "labels.json"), "labels.json")
    cases = []
    for name, image, label in [*_files(root), *_series(root)]:
        labels = (LabelFile(label, table.values),)
        cases.append(Case(name, name, {modality: image}, labels, others=table.others))
    if not cases:
        raise DataError(
            foreign_only(root / "images", "images/ holds no NIfTI and no folder of DICOM")
            or "the data folder has no images/*.nii or images/*.nii.gz, nor a folder of DICOM in "
            "images; put the scans into a folder 'images' there, or mend 'root' in the site file"
        )
    refuse_repeated(cases)
    return cases


def _files(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Identifier, image and label of the cases in NIfTI."""
    labels, alike = root / "labels", _alike(root)
    for image in volumes(root / "images"):
        if not image.is_dir():
            label = labels / image.name
            if not label.exists():
                label = with_ending(labels, stem(image)) or label
            if not label.exists() and len(named := alike.get(_folded(stem(image)), [])) == 1:
                label = named[0]
            yield stem(image), image, label


def _alike(root: Path) -> dict[str, list[Path]]:
    """Folded name -> labels that no image claims by its exact name.

    A label may have the other ending, other letter case and accents in Unicode's other form.
    """
    images = list(entries(root / "images"))
    taken = {stem(path) for path in images} | {path.name for path in images}
    alike: dict[str, list[Path]] = {}
    for path in entries(root / "labels"):
        name = path.name if path.is_dir() else stem(path)
        is_label = path.is_dir() or path.name.lower().endswith(NIFTI)
        if is_label and name not in taken:
            alike.setdefault(_folded(name), []).append(path)
    return alike


def _folded(name: str) -> str:
    """A name without what two machines may write in two ways: letter case and composed accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _series(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Identifier, image and label of the cases that are a folder of DICOM.

    A folder without DICOM counts as long as it has a label, so that a damaged series is counted.
    """
    labels, alike = root / "labels", _alike(root)
    for folder in entries(root / "images"):
        if not folder.is_dir():
            continue
        named = [labels / f"{folder.name}{ending}" for ending in ("", *NIFTI)]
        label = next((path for path in named if path.exists()), None)
        if not label and len(found := alike.get(_folded(folder.name), [])) == 1:
            label = found[0]
        if label or is_series(folder):
            yield folder.name, folder, label or named[1]


def strays(root: Path) -> list[Stray]:
    """What lies in ``images/`` and ``labels/`` and belongs to no case.

    Args:
        root: as for :func:`read`.
    """
    pairs = [*_files(root), *_series(root)]
    used = {path for _, image, label in pairs for path in (image, label)}
    return [
        *unused(
            root / "images",
            used,
            "entries of images/ that are neither NIfTI nor a folder of DICOM",
            "export them again, or move them elsewhere",
        ),
        *unused(
            root / "labels",
            used,
            "labels without an image of their name",
            "name each label as its image, keep one of each, or move them elsewhere",
        ),
    ]


def refuse_repeated(cases: Sequence[Case]) -> None:
    """Refuses two cases with one identifier, as ``p.nii`` and ``p.nii.gz`` give.

    Raises:
        DataError: with their number.
    """
    count = Counter(case.id for case in cases)
    repeated = len(cases) - len(count)
    if repeated:
        twice = [case for case in cases if count[case.id] > 1]
        raise FilesError(
            f"{repeated} cases repeat another's name (as .nii and .nii.gz would); keep one of each",
            [path for case in twice for path in case.images.values()],
        )


def volumes(folder: Path) -> list[Path]:
    """All NIfTI files of a folder by name, in whatever case they end, without hidden ones."""
    return [path for path in entries(folder) if path.name.lower().endswith(NIFTI)]


def stem(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``, in whatever letter case."""
    ending = next((end for end in NIFTI if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(ending)]


def single_modality(modalities: Sequence[str]) -> str:
    """The one modality of a single-modality layout.

    Raises:
        ConfigError: the site file lists several.
    """
    if len(modalities) != 1:
        raise ConfigError(
            f"this data set layout holds one modality, the site file lists {len(modalities)}; "
            "name the one that lies in 'root'"
        )
    return modalities[0]
