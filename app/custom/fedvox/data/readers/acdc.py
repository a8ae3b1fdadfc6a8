"""ACDC: cine MRI of the heart, two labelled frames per patient.

``{training,testing}/patientNNN/`` with ``Info.cfg``, ``patientNNN_frameFF.nii.gz`` and
``patientNNN_frameFF_gt.nii.gz``. Which frame is end diastole and which end systole stands in
``Info.cfg`` alone. The set's sform has a wrong voxel size; :mod:`fedvox.data.images.nifti` notices.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from fedvox.data.cases.case import FIXED, Case, LabelFile
from fedvox.data.cases.splits import hash_bucket
from fedvox.data.readers.layout import check_modalities, named_volume
from fedvox.data.readers.plain import single_modality
from fedvox.data.readers.strays import FilesError, Stray, entries, found
from fedvox.errors import DataError

VALUES = {1: "heart_right_ventricle", 2: "heart_myocardium", 3: "heart_left_ventricle"}
PARTS = ("training", "testing")
PHASES = ("ED", "ES")


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists both frames of every patient; they share the patient, so one split takes both.

    The set's split: ``training`` trains, less a tenth of its patients, by hash, that validates;
    ``testing`` is the test.

    Args:
        root: folder that holds ``training`` and, if at hand, ``testing``.
        modalities: ``mr``.

    Raises:
        ConfigError: another modality.
        DataError: no patient folder, or an ``Info.cfg`` that is missing or names no frames.
    """
    check_modalities(modalities, ("mr",), "ACDC")
    modality = single_modality(modalities)
    folders = [
        (part, folder)
        for part in PARTS
        for folder in sorted((root / part).glob("patient*"))
        if folder.is_dir()
    ]
    if not folders:
        raise DataError("the data folder has no training/patientNNN; name ACDC's top folder")
    frames = [_frames(folder / "Info.cfg") for _, folder in folders]
    broken = [folder for (_, folder), phases in zip(folders, frames) if len(phases) < len(PHASES)]
    if broken:
        raise FilesError(
            f"{len(broken)} of {len(folders)} patients have no Info.cfg that names the frames ED "
            "and ES; restore it from the release",
            broken,
        )
    return [
        _case(folder, number, part, modality)
        for (part, folder), found in zip(folders, frames)
        for number in found
    ]


def strays(root: Path) -> list[Stray]:
    """What lies in ``training`` and ``testing`` and is no patient's folder.

    Args:
        root: as for :func:`read`.
    """
    odd = [
        path
        for part in PARTS
        for path in entries(root / part)
        if not (path.is_dir() and path.name.startswith("patient"))
    ]
    remedy = "name folders patientNNN, or move them elsewhere"
    return found(Stray("entries that are no patientNNN folder", remedy, tuple(odd)))


def _case(folder: Path, frame: int, part: str, modality: str) -> Case:
    name = f"{folder.name}_frame{frame:02d}"
    validates = part == "training" and hash_bucket(folder.name) < 10
    split = "val" if validates else {"training": "train", "testing": "test"}[part]
    label = LabelFile(named_volume(folder, f"{name}_gt"), VALUES, FIXED)
    image = named_volume(folder, name)
    return Case(name, folder.name, {modality: image}, (label,), split)


def _frames(path: Path) -> list[int]:
    """Frame numbers of the phases that an ``Info.cfg`` names, each once."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    found = (re.search(rf"^\s*{phase}\s*:\s*(\d+)", text, re.MULTILINE) for phase in PHASES)
    return list(dict.fromkeys(int(match[1]) for match in found if match))
