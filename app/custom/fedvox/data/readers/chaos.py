"""CHAOS: DICOM series of the abdomen with one grey PNG per slice.

``Train_Sets/MR/<id>/T1DUAL/DICOM_anon/{InPhase,OutPhase}``, ``.../T2SPIR/DICOM_anon`` and
``Train_Sets/CT/<id>/DICOM_anon``, each sequence with its ``Ground/*.png``.
:mod:`fedvox.data.images.png_labels` says how a PNG finds its slice.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedvox.data.cases.case import FIXED, Case, LabelFile
from fedvox.data.readers.layout import check_modalities
from fedvox.data.readers.strays import Stray, entries, found
from fedvox.errors import DataError

MR_GREY = {
    "liver": (55, 70),
    "kidney_right": (110, 135),
    "kidney_left": (175, 200),
    "spleen": (240, 255),
}
"""Organ -> its lowest and highest grey value; other values are an error."""

VALUES: Mapping[str, Mapping[int, str | None]] = {
    "mr": {grey: organ for organ, (low, high) in MR_GREY.items() for grey in range(low, high + 1)},
    "ct": dict.fromkeys(range(1, 256), "liver"),
}
SEQUENCES = {
    "mr": {"T1DUAL": "T1DUAL/DICOM_anon/InPhase", "T2SPIR": "T2SPIR/DICOM_anon"},
    "ct": {"": "DICOM_anon"},
}
"""Modality -> folder of a sequence below the patient's -> folder of its DICOM images."""


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists one case per sequence; T1DUAL and T2SPIR of one person share the patient.

    Of T1DUAL the images in phase are used: the labels lie on both phases' grid.

    Args:
        root: folder that holds ``Train_Sets``, or that folder.
        modalities: ``ct``, ``mr`` or both.

    Raises:
        ConfigError: another modality.
        DataError: no labelled case of a modality that the site file names.
    """
    check_modalities(modalities, ("ct", "mr"), "CHAOS")
    top = root / "Train_Sets" if (root / "Train_Sets").is_dir() else root
    cases: list[Case] = []
    for modality in modalities:
        found = list(_cases(top / modality.upper(), modality))
        if not found:
            raise DataError(
                f"the data folder has no Train_Sets/{modality.upper()}/<number> with DICOM_anon "
                "and Ground; name CHAOS' top folder or correct 'modalities'"
            )
        cases += found
    return cases


def strays(root: Path, modalities: Sequence[str]) -> list[Stray]:
    """Folders of patients without images and labels in CHAOS' places.

    Args:
        root: as for :func:`read`.
        modalities: those of the site; the folders of others are left alone.
    """
    top = root / "Train_Sets" if (root / "Train_Sets").is_dir() else root
    bare = []
    for modality in modalities:
        cases = list(_cases(top / modality.upper(), modality))
        used = {part for case in cases for path in case.images.values() for part in path.parents}
        bare += [path for path in entries(top / modality.upper()) if path not in used]
    remedy = "unpack the release again, or move them elsewhere"
    return found(Stray("entries without DICOM_anon and Ground", remedy, tuple(bare)))


def _cases(folder: Path, modality: str) -> Iterator[Case]:
    if not folder.is_dir():
        return
    for person in sorted(folder.iterdir()):
        patient = f"{modality}-{person.name}"
        for sequence, images in SEQUENCES[modality].items():
            ground = person / sequence / "Ground"
            if (person / sequence).is_dir() and (ground.is_dir() or (person / images).is_dir()):
                label = LabelFile(ground, VALUES[modality], FIXED)
                name = f"{patient}-{sequence}" if sequence else patient
                yield Case(name, patient, {modality: person / images}, (label,))
