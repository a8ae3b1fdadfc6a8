"""Plain folder: ``images/`` and ``labels/`` with equal names, and ``labels.json``.

An image is a NIfTI file or a folder of one DICOM series; a series' label is a NIfTI file on the
same grid, whatever the direction of its axes, or a folder with one grey PNG per slice.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fedvox.config import read_json
from fedvox.data.case import Case, LabelFile
from fedvox.data.readers.labels import label_values
from fedvox.data.scans import NIFTI, is_series
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
    values = label_values(read_json(root / "labels.json", "labels.json"), "labels.json")
    cases = []
    for name, image, label in [*_files(root), *_series(root)]:
        cases.append(Case(name, name, {modality: image}, (LabelFile(label, values),)))
    if not cases:
        raise DataError(
            "the data folder has no images/*.nii or images/*.nii.gz, nor a folder of DICOM in "
            "images; check 'root'"
        )
    refuse_repeated(cases)
    return cases


def _files(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Identifier, image and label of the cases in NIfTI."""
    for image in volumes(root / "images"):
        if not image.is_dir():
            yield stem(image), image, root / "labels" / image.name


def _series(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Identifier, image and label of the cases that are a folder of DICOM.

    A folder without DICOM counts as long as it has a label, so that a damaged series is counted.
    """
    images, labels = root / "images", root / "labels"
    for folder in sorted(_entries(images)):
        if not folder.is_dir():
            continue
        named = [labels / f"{folder.name}{ending}" for ending in ("", *NIFTI)]
        label = next((path for path in named if path.exists()), None)
        if label or is_series(folder):
            yield folder.name, folder, label or named[1]


def strays(root: Path) -> list[tuple[str, str, int]]:
    """Counts what lies in ``images/`` and ``labels/`` and belongs to no case.

    Args:
        root: as for :func:`read`.

    Returns:
        What it is, what to do about it, and how many, for each kind.
    """
    pairs = [*_files(root), *_series(root)]
    used = {path for _, image, label in pairs for path in (image, label)}
    images, labels = (
        sum(path not in used for path in _entries(root / part)) for part in ("images", "labels")
    )
    return [
        (
            "entries of images/ that are neither NIfTI nor a folder of DICOM",
            "export them again, or move them elsewhere",
            images,
        ),
        ("labels without an image of their name", "name each label as its image", labels),
    ]


def _entries(folder: Path) -> Iterator[Path]:
    """What lies in a folder, without hidden entries."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith("."):
            yield path


def refuse_repeated(cases: Sequence[Case]) -> None:
    """Refuses two cases with one identifier, as ``p.nii`` and ``p.nii.gz`` give.

    Raises:
        DataError: with their number.
    """
    repeated = len(cases) - len({case.id for case in cases})
    if repeated:
        raise DataError(
            f"{repeated} cases repeat another's name (as .nii and .nii.gz would); keep one of each"
        )


def volumes(folder: Path) -> list[Path]:
    """All NIfTI files of a folder, by name, without hidden ones."""
    return sorted(
        path
        for pattern in ("*.nii", "*.nii.gz")
        for path in folder.glob(pattern)
        if not path.name.startswith(".")
    )


def stem(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


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
