"""TotalSegmentator, CT release v2 and MRI release: a folder per case, a binary mask per structure.

``sNNNN/ct.nii.gz`` or ``sNNNN/mri.nii.gz``, ``sNNNN/segmentations/<structure>.nii.gz`` and
``meta.csv``. Masks are matched by name: the class lists of the two releases differ by number.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedvox.data.cases.case import Case, LabelFile
from fedvox.data.cases.splits import SPLITS, hash_bucket
from fedvox.data.organs import IGNORE, structure_of
from fedvox.data.readers.layout import check_modalities
from fedvox.data.readers.plain import single_modality, stem, volumes
from fedvox.data.readers.strays import FilesError, Stray, found
from fedvox.errors import DataError

IMAGES = {"ct": "ct.nii.gz", "mr": "mri.nii.gz"}


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
    folders = [path.parent for path in sorted(root.glob(f"*/{IMAGES[modality]}"))]
    if not folders:
        other = next(name for name in IMAGES if name != modality)
        remedy = (
            f"it holds {other}: correct 'modalities'"
            if any(root.glob(f"*/{IMAGES[other]}"))
            else "name the release's top folder"
        )
        raise DataError(f"the data folder has no sNNNN/{IMAGES[modality]}; {remedy}")
    splits = _splits(root, [folder.name for folder in folders])
    cases = [
        Case(
            folder.name,
            folder.name,
            {modality: folder / IMAGES[modality]},
            labels,
            splits.get(folder.name),
            others,
        )
        for folder in folders
        for labels, others in [_masks(folder / "segmentations")]
        if labels
    ]
    if not cases:
        raise DataError(
            "no case has a mask of a structure that FedVox knows under sNNNN/segmentations; unpack "
            "the release again, or name own masks as docs/data.md names organs"
        )
    return cases


def strays(root: Path) -> list[Stray]:
    """The case folders that are no cases, since their image or all their masks are missing.

    Args:
        root: as for :func:`read`.
    """
    folders = [path for path in sorted(root.glob("s*/")) if path.name[1:].isdecimal()]
    images = {path: any((path / name).exists() for name in IMAGES.values()) for path in folders}
    blind = [path for path in folders if not images[path]]
    bare = [path for path in folders if not _masks(path / "segmentations")[0]]
    remedy = "unpack the release again, if they had one"
    return found(
        Stray("folders sNNNN without ct.nii.gz or mri.nii.gz", remedy, tuple(blind)),
        Stray("folders sNNNN without a mask of a structure that FedVox knows", remedy, tuple(bare)),
    )


def _masks(folder: Path) -> tuple[tuple[LabelFile, ...], tuple[str, ...]]:
    """The masks of structures with a name of ours, and the names of the others."""
    named = [(path, structure_of(stem(path))) for path in volumes(folder)]
    files = tuple(LabelFile(path, {1: organ}) for path, organ in named if organ)
    if all(file.values[1] == IGNORE for file in files):  # which alone annotates nothing
        files = ()
    return files, tuple(stem(path) for path, organ in named if not organ)


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
