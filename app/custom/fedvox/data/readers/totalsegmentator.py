"""TotalSegmentator, CT release v2 and MRI release: a folder per case, a binary mask per structure.

``sNNNN/ct.nii.gz`` or ``sNNNN/mri.nii.gz``, ``sNNNN/segmentations/<structure>.nii.gz`` and
``meta.csv``. Masks are matched by name: the class lists of the two releases differ by number.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fedvox.data.cases.case import MASK, Case, LabelFile
from fedvox.data.cases.splits import SPLITS, hash_bucket
from fedvox.data.organ_names import meant, unknown_names
from fedvox.data.organs import IGNORE, structure_of
from fedvox.data.readers.layout import check_modalities
from fedvox.data.readers.plain import single_modality, stem, volumes
from fedvox.data.readers.strays import FilesError, Stray, entries, found, with_ending
from fedvox.errors import DataError

IMAGES = {"ct": "ct", "mr": "mri"}
"""Modality -> name of the image, which ends in ``.nii.gz`` or ``.nii``."""


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the cases that have a mask of a structure with a canonical name.

    A structure without a mask is not annotated; it may be there all the same. Without ``meta.csv``
    cases have no split of their own. The MRI release has no validation part: a tenth of the
    training patients, by hash, takes its place.

    Args:
        root: folder that holds the case folders and ``meta.csv``.
        modalities: ``ct`` or ``mr``.

    Raises:
        ConfigError: another modality, or both.
        DataError: the layout is another, or ``meta.csv`` is.
    """
    check_modalities(modalities, tuple(IMAGES), "TotalSegmentator")
    modality = single_modality(modalities)
    images = {path: image for path in _folders(root) if (image := _image(path, modality))}
    if not images:
        other = _other(modality)
        remedy = (
            f"it holds {other}: correct 'modalities'"
            if any(_image(path, other) for path in _folders(root))
            else "name the release's top folder"
        )
        raise DataError(f"the data folder has no sNNNN/{IMAGES[modality]}.nii.gz; {remedy}")
    splits = _splits(root, [folder.name for folder in images])
    cases = [
        Case(
            folder.name,
            folder.name,
            {modality: image},
            labels,
            splits.get(folder.name),
            others,
        )
        for folder, image in images.items()
        for labels, others in [_masks(folder / "segmentations")]
        if labels
    ]
    if not cases:
        unknown = _unknown_masks(images)
        raise FilesError(
            "no case has a mask of a structure that FedVox knows under sNNNN/segmentations"
            f"{meant(map(stem, unknown))}; unpack the release again, or name own masks as "
            "docs/data.md names organs",
            unknown,
        )
    return cases


def strays(root: Path, modalities: Sequence[str]) -> list[Stray]:
    """The folders that are no cases of the site, and masks of unknown names in them.

    Args:
        root: as for :func:`read`.
        modalities: as for :func:`read`.
    """
    modality = single_modality(modalities)
    other = _other(modality)
    without = [folder for folder in _folders(root) if not _image(folder, modality)]
    foreign = [folder for folder in without if _image(folder, other)]
    blind = [folder for folder in without if not _image(folder, other)]
    cases = [folder for folder in _folders(root) if _image(folder, modality)]
    bare = [folder for folder in cases if not _masks(folder / "segmentations")[0]]
    unknown = _unknown_masks(bare)
    again = "unpack the release again"
    return found(
        Stray(
            "folders without ct.nii.gz or mri.nii.gz that this user may read",
            f"{again} or mend their rights, if they are cases; else move them elsewhere",
            tuple(blind),
        ),
        Stray(
            f"folders with {IMAGES[other]}.nii.gz and without {IMAGES[modality]}.nii.gz",
            f"leave them to a site of '{other}', or {again} if they had one",
            tuple(foreign),
        ),
        Stray(
            "folders without a mask of a structure that FedVox knows",
            f"{again} if they had one, or leave them",
            tuple(bare),
        ),
        Stray(
            "masks in folders that are no case, under names that FedVox does not know"
            f"{meant(map(stem, unknown))}",
            "rename what is one of FedVox's organs (docs/data.md, Label names)",
            tuple(unknown),
        ),
    )


def _folders(root: Path) -> list[Path]:
    return [path for path in entries(root) if path.is_dir()]


def _image(folder: Path, modality: str) -> Path | None:
    try:
        return with_ending(folder, IMAGES[modality])
    except PermissionError:  # a folder of the system's, as lost+found, is no case
        return None


def _other(modality: str) -> str:
    return next(name for name in IMAGES if name != modality)


def _masks(folder: Path) -> tuple[tuple[LabelFile, ...], tuple[str, ...]]:
    """The masks of structures with a name of ours, and the names of the others."""
    named = [(path, structure_of(stem(path))) for path in volumes(folder)]
    files = tuple(LabelFile(path, {1: organ}, MASK) for path, organ in named if organ)
    if all(file.values[1] == IGNORE for file in files):  # which alone annotates nothing
        files = ()
    return files, tuple(stem(path) for path, organ in named if not organ)


def _unknown_masks(folders: Iterable[Path]) -> list[Path]:
    """The masks whose names neither FedVox nor a public set has."""
    masks = [path for folder in folders for path in volumes(folder / "segmentations")]
    odd = set(unknown_names(stem(path) for path in masks if not structure_of(stem(path))))
    return [path for path in masks if stem(path) in odd]


def _splits(root: Path, names: Sequence[str]) -> Mapping[str, str]:
    """Case -> split as ``meta.csv`` says; empty without that file."""
    if not (root / "meta.csv").is_file():
        return {}
    listed = _listed(root / "meta.csv")
    missing = [name for name in names if name not in listed]
    if missing:
        raise FilesError(
            f"meta.csv does not list {len(missing)} of the {len(names)} cases; restore it",
            [root / name for name in missing],
        )
    if "val" in listed.values():
        return listed
    return {
        name: "val" if split == "train" and hash_bucket(name) < 10 else split
        for name, split in listed.items()
    }


def _listed(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter=";"))
    except (UnicodeDecodeError, csv.Error):
        raise DataError("meta.csv is no table in UTF-8; restore it from the release") from None
    if not rows or not {"image_id", "split"} <= set(rows[0]):
        raise DataError(
            "meta.csv needs the columns image_id and split, separated by ';'; restore it from the "
            "release"
        )
    listed = {str(row["image_id"]): str(row["split"]).strip() for row in rows}
    odd = sum(split not in SPLITS for split in listed.values())
    if odd:
        raise DataError(f"meta.csv: 'split' is not train, val or test in {odd} rows; restore it")
    return listed
