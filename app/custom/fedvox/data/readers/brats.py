"""BraTS: four MRI sequences of the brain and one mask per case, under two families of names.

2018 to 2021: ``NAME_{flair,t1,t1ce,t2,seg}``. From 2023 on: ``NAME-{t2f,t1n,t1c,t2w,seg}``. The
family decides what the mask's values mean: enhancing tumour was 4 and became 3, and since GLI 2024
4 is the resection cavity.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedvox.data.cases.case import FIXED, Case, LabelFile
from fedvox.data.readers.layout import check_modalities, folders_below, volumes_by_name
from fedvox.data.readers.plain import refuse_repeated
from fedvox.data.readers.strays import Stray, found
from fedvox.errors import DataError

DEPTH = 4
MASK = "seg"


@dataclass(frozen=True)
class Family:
    """How the files of some years are named and what their masks hold.

    Attributes:
        separator: between the case's name and the suffix.
        suffixes: modality -> suffix.
        values: of the masks.
    """

    separator: str
    suffixes: Mapping[str, str]
    values: Mapping[int, str | None]

    def split(self, name: str) -> tuple[str, str] | None:
        """A file's name as case and suffix, None for a name of another form."""
        case, found, suffix = name.rpartition(self.separator)
        known = suffix == MASK or suffix in self.suffixes.values()
        return (case, suffix) if found and known else None

    def patient(self, case: str) -> str:
        """From 2023 on the last number is the time point: ``BraTS-GLI-00000-001``."""
        return case.rpartition("-")[0] if self.separator == "-" else case


_PARTS: Mapping[int, str | None] = {1: "tumour_necrotic", 2: "tumour_oedema"}
FAMILIES = (
    Family(
        "_",
        {"t1": "t1", "t1ce": "t1ce", "t2": "t2", "flair": "flair"},
        {**_PARTS, 4: "tumour_enhancing"},
    ),
    Family(
        "-",
        {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f"},
        {**_PARTS, 3: "tumour_enhancing", 4: "resection_cavity"},
    ),
)


@dataclass
class _Found:
    """The files of one case."""

    folder: Path
    family: Family
    name: str
    files: dict[str, Path] = field(default_factory=dict)

    def known(self) -> list[Path]:
        """The files that the case's own family of names knows."""
        suffixes = {MASK, *self.family.suffixes.values()}
        return [path for suffix, path in self.files.items() if suffix in suffixes]


def read(root: Path, modalities: Sequence[str]) -> list[Case]:
    """Lists the cases with a mask, in ``root`` and the folders in it (``HGG``, ``LGG``).

    Cases without a mask are the challenge's validation cases and are left out. One that lacks a
    modality stays, so that it is counted as unusable.

    Args:
        root: any folder above the cases.
        modalities: one or more of ``t1``, ``t1ce``, ``t2``, ``flair``.

    Raises:
        ConfigError: another modality.
        DataError: no case, no mask, a case twice, or a BraTS whose values are others.
    """
    check_modalities(modalities, tuple(FAMILIES[0].suffixes), "BraTS")
    listed = _found(root)
    if not listed:
        raise DataError(
            "the data folder has no NAME_t1.nii or NAME-t1n.nii at any depth; name BraTS' folder"
        )
    cases = [_case(entry, modalities) for entry in listed if MASK in entry.files]
    if not cases:
        raise DataError(f"none of {len(listed)} cases has a mask; name the training folder")
    if any(case.id.startswith("BraTS-PED") for case in cases):
        raise DataError(
            'BraTS-PED gives the values other meanings, which changed by year; use "plain" with a '
            "label table"
        )
    refuse_repeated(cases)
    return cases


def strays(root: Path) -> list[Stray]:
    """The folders of cases without a mask, which are left out, and volumes of other names.

    A volume whose name says nothing would otherwise look like a modality that the case lacks.

    Args:
        root: as for :func:`read`.
    """
    bare: list[Path] = []
    unknown: list[Path] = []
    for folder in folders_below(root, DEPTH):
        volumes = volumes_by_name(folder)
        cases = list(_in_folder(folder, volumes))
        with_mask = [case for case in cases if MASK in case.files]
        known = {path for case in with_mask for path in case.known()}
        if cases and not with_mask:
            bare += [folder for _ in cases]
            known = {path for case in cases for path in case.files.values()}
        unknown += [path for path in volumes.values() if path not in known]
    return found(
        Stray(
            "cases without a mask, as the challenge's validation cases are",
            "leave them, or restore their masks if they had one",
            tuple(bare),
        ),
        Stray(
            "volumes whose names are not those of BraTS, or not those of the mask beside them",
            "if they are images of a case, name them as the case's mask is named: "
            "NAME_{flair,t1,t1ce,t2,seg} or NAME-{t2f,t1n,t1c,t2w,seg}; else move them away",
            tuple(unknown),
        ),
    )


def _found(root: Path) -> list["_Found"]:
    folders = folders_below(root, DEPTH)
    return [case for folder in folders for case in _in_folder(folder, volumes_by_name(folder))]


def _case(entry: _Found, modalities: Sequence[str]) -> Case:
    family, mask = entry.family, entry.files[MASK]
    ending = ".nii.gz" if mask.name.endswith(".gz") else ".nii"
    images = {}
    for modality in modalities:
        suffix = family.suffixes[modality]
        expected = entry.folder / f"{entry.name}{family.separator}{suffix}{ending}"
        images[modality] = entry.files.get(suffix, expected)
    label = LabelFile(mask, family.values, FIXED)
    return Case(entry.name, family.patient(entry.name), images, (label,))


def _in_folder(folder: Path, volumes: Mapping[str, Path]) -> Iterator[_Found]:
    cases: dict[str, _Found] = {}
    others = {}
    for name, path in volumes.items():
        for family in FAMILIES:
            if parts := family.split(name):
                case = cases.setdefault(parts[0], _Found(folder, family, parts[0]))
                case.files[parts[1]] = path
                break
        else:
            others[name] = path
    # One public copy of 2020 calls case 355's mask W39_1998.09.19_Segm.nii.
    odd = [path for name, path in others.items() if name.lower().endswith("_segm")]
    if len(cases) == len(odd) == 1:
        next(iter(cases.values())).files.setdefault(MASK, odd[0])
    yield from cases.values()
