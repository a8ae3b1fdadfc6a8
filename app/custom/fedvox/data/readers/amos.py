"""AMOS22: abdominal CT and MRI in one tree, told apart by the number of the case.

``imagesTr/amos_NNNN.nii.gz`` with ``labelsTr/`` and ``imagesVa/`` with ``labelsVa/``. Numbers up to
500 are CT, larger ones MRI; the set's own readme is off by one.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedvox.config import read_json
from fedvox.data.cases.case import FIXED, TABLE, Case, LabelFile
from fedvox.data.cases.splits import hash_bucket
from fedvox.data.readers.labels import LabelTable, label_table
from fedvox.data.readers.layout import check_modalities
from fedvox.data.readers.plain import refuse_repeated, stem, volumes
from fedvox.data.readers.strays import FilesError, Stray, unused, with_ending
from fedvox.errors import DataError

LAST_CT = 500
VALUES: Mapping[int, str | None] = dict(
    enumerate(
        (
            "spleen",
            "kidney_right",
            "kidney_left",
            "gallbladder",
            "oesophagus",
            "liver",
            "stomach",
            "aorta",
            "inferior_vena_cava",
            "pancreas",
            "adrenal_right",
            "adrenal_left",
            "duodenum",
            "bladder",
            "prostate_uterus",
        ),
        start=1,
    )
)
"""The set's table, for copies without ``dataset.json``."""
PARTS = ("Tr", "Va", "Ts")


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the labelled cases of the modalities that the site file names.

    The set's split: ``Tr`` trains. ``Va`` is the test, and half of its patients, by hash, are
    validation cases; where ``labelsTs`` exists, ``Va`` validates and ``Ts`` is the test.

    Args:
        root: folder that holds ``imagesTr`` and ``labelsTr``.
        modalities: ``ct``, ``mr`` or both.

    Raises:
        ConfigError: another modality.
        DataError: the layout is another, or there is no labelled case of the modalities.
    """
    check_modalities(modalities, ("ct", "mr"), "AMOS")
    if not (root / "imagesTr").is_dir() or not (root / "labelsTr").is_dir():
        raise DataError("the data folder has no imagesTr and labelsTr; name AMOS' top folder")
    table = _table(root)
    cases = [case for part in _parts(root) for case in _cases(root, part, table)]
    chosen = [case for case in cases if case.modality in modalities]
    if not chosen:
        raise DataError(
            f"none of the {len(cases)} labelled cases is {' or '.join(modalities)}: numbers up to "
            f"{LAST_CT} are CT, larger ones MRI; correct 'modalities' or 'root'"
        )
    refuse_repeated(chosen)
    return chosen


def strays(root: Path) -> list[Stray]:
    """Labels and foreign files that belong to no case.

    Args:
        root: as for :func:`read`.
    """
    result = []
    for part in _parts(root):
        cases = _cases(root, part, LabelTable(VALUES, ()))
        used = [path for case in cases for path in case.files]
        result += unused(
            root / f"images{part}",
            used,
            f"entries of images{part}/ that are no NIfTI",
            "unpack the release again, or move them elsewhere",
        )
        result += unused(
            root / f"labels{part}",
            used,
            f"labels in labels{part}/ without an image of their name",
            "restore the image, or move the label elsewhere",
        )
    return result


def _parts(root: Path) -> list[str]:
    return [part for part in PARTS if (root / f"labels{part}").is_dir()]


def _cases(root: Path, part: str, table: LabelTable) -> list[Case]:
    images = volumes(root / f"images{part}")
    numbers = [re.fullmatch(r"amos_(\d+)", stem(image)) for image in images]
    odd = [image for image, number in zip(images, numbers) if number is None]
    if odd:
        raise FilesError(
            f"{len(odd)} files in images{part} are not called amos_NNNN, whose number tells CT "
            "from MRI; restore their names",
            odd,
        )
    has_test = (root / "labelsTs").is_dir()
    cases = []
    for image, number in zip(images, numbers):
        name = stem(image)
        modality = "ct" if number and int(number[1]) <= LAST_CT else "mr"
        folder = root / f"labels{part}"
        path = folder / image.name
        if not path.exists():
            path = with_ending(folder, name) or path
        told_by = FIXED if table.values is VALUES else TABLE
        labels = (LabelFile(path, table.values, told_by),)
        split = _split(part, name, has_test)
        cases.append(Case(name, name, {modality: image}, labels, split, table.others))
    return cases


def _split(part: str, patient: str, has_test: bool) -> str:
    if part != "Va":
        return {"Tr": "train", "Ts": "test"}[part]
    return "val" if has_test or hash_bucket(patient) < 50 else "test"


def _table(root: Path) -> LabelTable:
    if not (root / "dataset.json").is_file():
        return LabelTable(VALUES, ())
    labels = read_json(root / "dataset.json", "dataset.json").get("labels")
    if not isinstance(labels, Mapping):
        raise DataError("dataset.json has no 'labels' table; restore it or remove the file")
    return label_table(labels, "dataset.json")
