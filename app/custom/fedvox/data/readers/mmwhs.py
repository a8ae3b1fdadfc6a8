"""MM-WHS: whole hearts, ``ct_train/ct_train_10NN_{image,label}.nii.gz`` and ``mr_train/`` alike."""

from collections.abc import Sequence
from pathlib import Path

from fedvox.data.cases.case import FIXED, Case, LabelFile
from fedvox.data.readers.layout import check_modalities
from fedvox.data.readers.plain import refuse_repeated, volumes
from fedvox.data.readers.strays import Stray, unused, with_ending
from fedvox.errors import DataError

VALUES = {
    205: "heart_myocardium",
    420: "heart_left_atrium",
    500: "heart_left_ventricle",
    550: "heart_right_atrium",
    600: "heart_right_ventricle",
    820: "ascending_aorta",
    850: "pulmonary_artery",
}
STRAY = {421: "heart_left_atrium"}
"""A slip of the annotators in one MRI."""


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the training cases of the modalities; the test cases have no labels.

    Args:
        root: folder that holds ``ct_train`` and ``mr_train``, or one of them.
        modalities: ``ct``, ``mr`` or both.

    Raises:
        ConfigError: another modality.
        DataError: no case of a modality that the site file names.
    """
    check_modalities(modalities, ("ct", "mr"), "MM-WHS")
    cases: list[Case] = []
    for modality in modalities:
        found = _cases(root / f"{modality}_train", modality)
        if not found:
            raise DataError(
                f"the data folder has no {modality}_train/{modality}_train_NNNN_image.nii.gz; name "
                "the folder above it or correct 'modalities'"
            )
        cases += found
    refuse_repeated(cases)
    return cases


def strays(root: Path, modalities: Sequence[str]) -> list[Stray]:
    """What lies beside the cases: labels without an image, or files of other names.

    Args:
        root: as for :func:`read`.
        modalities: those of the site; the folders of others are left alone.
    """
    result = []
    for modality in modalities:
        cases = _cases(root / f"{modality}_train", modality)
        used = [path for case in cases for path in case.files]
        result += unused(
            root / f"{modality}_train",
            used,
            f"entries of {modality}_train/ that are no pair of image and label",
            "restore the other file of the pair, or move them elsewhere",
        )
    return result


def _cases(folder: Path, modality: str) -> list[Case]:
    values = VALUES | (STRAY if modality == "mr" else {})
    cases = []
    for image in volumes(folder):
        name, found, ending = image.name.partition("_image.nii")
        if found and name.startswith(f"{modality}_train_"):
            path = image.with_name(f"{name}_label.nii{ending}")
            if not path.exists():
                path = with_ending(folder, f"{name}_label") or path
            label = LabelFile(path, values, FIXED)
            cases.append(Case(name, name, {modality: image}, (label,)))
    return cases
