"""What lies in a data folder and belongs to no case: nobody would miss it otherwise."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fedvox.data.images.scans import NIFTI
from fedvox.errors import DataError

FOREIGN = (".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".mgz", ".mgh", ".mnc", ".npz", ".h5")
"""Endings of volumes in forms that FedVox does not read."""


class FilesError(DataError):
    """A listing that some of its files make unusable; the message counts them, the site names them.

    Args:
        message: without a file's name.
        paths: the files or folders; shown at the site only, where its staff ask for it.
    """

    def __init__(self, message: str, paths: Iterable[Path] = ()) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


@dataclass(frozen=True)
class Stray:
    """Files or folders of one kind that are passed over.

    Attributes:
        kind: what they are.
        remedy: what to do.
        paths: where they lie; shown at the site only, where its staff ask for it.
    """

    kind: str
    remedy: str
    paths: tuple[Path, ...]


def entries(folder: Path) -> Iterator[Path]:
    """What lies in a folder, by name, without hidden entries; nothing where there is no folder."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith("."):
            yield path


def is_foreign(name: str) -> bool:
    """True for the name of a volume in a form that FedVox does not read."""
    plain = name.lower().removesuffix(".gz")
    return plain.endswith(FOREIGN)


def foreign_only(folder: Path, lacking: str) -> str:
    """Says after ``lacking`` that a folder holds volumes of foreign forms; empty without those."""
    foreign = sum(is_foreign(path.name) for path in entries(folder))
    forms = f"{foreign} volumes in another form, as .nrrd or .mha"
    remedy = "convert images and labels to NIfTI (.nii.gz)"
    return f"{lacking}, but {forms}; {remedy}" if foreign else ""


def unused(folder: Path, used: Iterable[Path], kind: str, remedy: str) -> list[Stray]:
    """What no case uses of a folder; volumes of foreign forms apart, which need converting.

    Args:
        folder: of images or of labels.
        used: files and folders of the cases.
        kind: what the rest is.
        remedy: what to do about the rest.
    """
    taken = set(used)
    left = [path for path in entries(folder) if path not in taken]
    foreign = [path for path in left if is_foreign(path.name)]
    others = [path for path in left if not is_foreign(path.name)]
    return found(
        Stray(kind, remedy, tuple(others)),
        Stray(
            f"volumes in {folder.name}/ in a form that is not read, as .nrrd or .mha",
            "convert them to NIfTI (.nii.gz), images and labels alike",
            tuple(foreign),
        ),
    )


def found(*strays: Stray) -> list[Stray]:
    """Those that there are."""
    return [stray for stray in strays if stray.paths]


def with_ending(folder: Path, name: str) -> Path | None:
    """The volume ``name`` with either ending of NIfTI, the compressed one first; else None."""
    return next((path for end in NIFTI if (path := folder / f"{name}{end}").exists()), None)
