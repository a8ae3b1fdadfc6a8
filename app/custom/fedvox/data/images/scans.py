"""The scans of a folder: NIfTI files, or sub-folders with one DICOM series each."""

from dataclasses import dataclass
from pathlib import Path

from fedvox.errors import ConfigError

NIFTI = (".nii.gz", ".nii")
_FIRST_GROUPS = (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")
"""0002 and 0008, in either byte order."""
_LONGEST = 1024
"""No first element is so long."""


@dataclass(frozen=True)
class Scan:
    """A scan on disk.

    Attributes:
        name: without folder and ending; names its results.
        path: NIfTI file, or folder of a DICOM series.
    """

    name: str
    path: Path


def is_series(folder: Path) -> bool:
    """True for a folder that holds DICOM files itself, not only in sub-folders."""
    if not folder.is_dir():
        return False
    files = (path for path in folder.iterdir() if path.is_file() and path.name != "DICOMDIR")
    return any(not path.name.startswith(".") and is_dicom_file(path) for path in files)


def is_dicom_file(path: Path) -> bool:
    """True for a DICOM file, with or without its preamble."""
    from pydicom.misc import is_dicom

    return is_dicom(path) or lacks_preamble(path)


def lacks_preamble(path: Path) -> bool:
    """True for a DICOM file that begins at once with an element of one of the first groups."""
    with path.open("rb") as file:
        start = file.read(132)
    group, element, rest = start[:2], start[2:4], start[4:8]
    if len(rest) < 4 or group not in _FIRST_GROUPS or start[128:] == b"DICM":
        return False
    explicit = rest[:2].isalpha() and rest[:2].isupper()
    implicit = int.from_bytes(rest, "little") < _LONGEST
    return element[group.index(0)] == 0 and (explicit or implicit)


def find_scans(folder: Path) -> tuple[list[Scan], list[Path]]:
    """Lists the scans of a folder by name; hidden entries do not count.

    Returns:
        The scans, and the entries that are none.

    Raises:
        ConfigError: no scan, or two that would get results of the same name.
    """
    scans, others = [], []
    for path in sorted(folder.iterdir()):
        ending = next((end for end in NIFTI if path.name.lower().endswith(end)), "")
        if path.name.startswith("."):
            continue
        if (ending and path.is_file()) or is_series(path):
            scans.append(Scan(path.name[: len(path.name) - len(ending)], path))
        else:
            others.append(path)
    if not scans:
        raise ConfigError(f"{folder}: it holds neither NIfTI files nor folders of DICOM series")
    names = [scan.name for scan in scans]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{folder}: two scans are called {name}; rename or move one")
    return scans, others
