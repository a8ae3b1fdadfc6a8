"""LiTS: ``volume-N.nii`` and ``segmentation-N.nii``, in batch folders or in one.

Pairs are made by number: as texts, ``volume-10`` sorts before ``volume-2``.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from fedvox.data.cases.case import FIXED, Case, LabelFile
from fedvox.data.images.scans import NIFTI
from fedvox.data.readers.layout import check_modalities, folders_below
from fedvox.data.readers.plain import single_modality, stem, volumes
from fedvox.data.readers.strays import FilesError, Stray, entries, found, is_foreign
from fedvox.errors import DataError

VALUES = {1: "liver", 2: "liver_tumour"}
DEPTH = 3


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the pairs of volume and segmentation in ``root`` and the folders in it.

    Where one of a pair is missing, the case stays, so that it is counted as unusable.

    Args:
        root: folder of the batches, or of the files.
        modalities: ``ct``.

    Raises:
        ConfigError: another modality.
        DataError: no segmentation, or a number twice.
    """
    check_modalities(modalities, ("ct",), "LiTS")
    modality = single_modality(modalities)
    images, labels = _numbered(root, "volume"), _numbered(root, "segmentation")
    if not labels:
        raise DataError("the data folder has no segmentation-N.nii; name the training batches")
    cases = []
    for number in sorted(images | labels):
        image = images.get(number) or _partner(labels[number], "volume")
        label = labels.get(number) or _partner(images[number], "segmentation")
        name = f"volume-{number}"
        cases.append(Case(name, name, {modality: image}, (LabelFile(label, VALUES, FIXED),)))
    return cases


def strays(root: Path) -> list[Stray]:
    """Volumes that are called neither ``volume-N`` nor ``segmentation-N``, so of no case.

    Args:
        root: as for :func:`read`.
    """
    everything = [path for folder in folders_below(root, DEPTH) for path in entries(folder)]
    odd = [path for path in everything if path.is_file() and _is_odd(path)]
    remedy = "leave test volumes; rename others to volume-N.nii and segmentation-N.nii"
    return found(
        Stray("volumes that are not called volume-N or segmentation-N", remedy, tuple(odd))
    )


def _is_odd(path: Path) -> bool:
    if is_foreign(path.name):
        return True
    named = re.fullmatch(r"(volume|segmentation)-\d+", stem(path))
    return path.name.endswith(NIFTI) and named is None


def _numbered(root: Path, kind: str) -> dict[int, Path]:
    """Number -> file of all ``kind-N.nii[.gz]``; test volumes are called ``test-volume-N``."""
    files = [path for folder in folders_below(root, DEPTH) for path in volumes(folder)]
    matches = [(re.fullmatch(rf"{kind}-(\d+)", stem(path)), path) for path in files]
    numbered = [(int(match[1]), path) for match, path in matches if match]
    found = dict(numbered)
    if len(found) < len(numbered):
        raise FilesError(
            f"{len(numbered) - len(found)} {kind} numbers stand twice; keep one of each",
            [path for number, path in numbered if found[number] != path],
        )
    return found


def _partner(path: Path, kind: str) -> Path:
    return path.with_name(re.sub(r"^[a-z]+", kind, path.name))
