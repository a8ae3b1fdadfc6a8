"""Files and folders that a command was given, looked at before any work."""

import os
import tempfile
from pathlib import Path

from fedvox.errors import ConfigError
from fedvox.exposure import exposed

_KINDS = (
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"NRRD", "an NRRD file"),
    (0, b"ObjectType", "a MetaImage"),
    (0, b"\x93NUMPY", "an array of numpy"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89HDF", "an HDF5 file"),
    (257, b"ustar", "a tar archive"),
    (128, b"DICM", "a single DICOM file"),
)
"""Where a kind of file says what it is."""
_HEAD = 4096
NIFTI = (".nii", ".nii.gz")


def kind_of(path: Path) -> str | None:
    """What a file holds that is no NIfTI, in words; None where it may be one.

    Args:
        path: an existing file, of which the beginning is read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    for place, sign, words in _KINDS:
        if head[place : place + len(sign)] == sign:
            return words
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "a text" if text and all(c.isprintable() or c in "\r\n\t\f" for c in text) else None


def absent(option: str, path: Path, name: str = "file") -> ConfigError:
    """The error for a path that does not exist, with what its form gives away.

    Args:
        option: what the path was given for.
        path: as it was given.
        name: what should lie there.
    """
    text = str(path)
    if "\\" in text or text[1:2] == ":":
        hint = "it looks like a Windows path; write the path as this machine has it"
    elif any(sign in text for sign in "*?["):
        hint = "no file matches the pattern; name one path, or the folder"
    elif text != text.strip() or text[:1] in "'\"":
        hint = "it begins or ends with a blank or a quote; take it out"
    else:
        hint = _where_it_breaks(path)
    return ConfigError(f"{option} {path}: the {name} is missing; {hint}")


def _where_it_breaks(path: Path) -> str:
    folder = path.absolute().parent
    if folder.is_dir():
        return f"{folder} holds none of that name"
    while not folder.exists():
        folder = folder.parent
    return f"of its path only {folder} exists"


def require_model(path: Path) -> None:
    """Refuses what is no model's file by its name or place.

    Raises:
        ConfigError: it is missing, a folder, or another file.
    """
    wanted = "give the model.safetensors of a run"
    if path.is_dir():
        inside = path / "model.safetensors"
        raise ConfigError(
            f"--model {path}: it is a folder; {f'name {inside}' if inside.is_file() else wanted}"
        )
    if not path.exists():
        raise ConfigError(f"--model {path}: no such model file; {wanted}")
    if path.suffix != ".safetensors":
        beside = path.with_suffix(".safetensors")
        remedy = f"name {beside}" if beside.is_file() else wanted
        raise ConfigError(f"--model {path}: it holds no weights; {remedy}")


def require_place(option: str, path: Path, inside: Path | None = None) -> None:
    """Refuses a place where no file can be made, before work is lost over it.

    Args:
        option: what the path was given for.
        path: as it was given.
        inside: a file in it, where the path is a folder.

    Raises:
        ConfigError: something above it is a file, or nothing can be written there.
    """
    folder = (inside or path).absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: {folder} is a file, not a folder; choose another")
    reason = _why_closed(folder)
    if reason:
        raise ConfigError(
            f"{option} {path}: {folder} cannot be written ({reason}); choose another folder"
        )


def require_private(option: str, path: Path, what: str) -> None:
    """Refuses a place from which patients' data would travel on.

    Args:
        option: what the path was given for.
        path: a file or folder to write.
        what: of patients it would hold.

    Raises:
        ConfigError: git would commit it, or a start-up kit takes it along.
    """
    reason = exposed(path)
    if reason:
        raise ConfigError(
            f"{option} {path}: {reason}, with {what}; name a place outside, or one that git ignores"
        )


def require_folder(option: str, path: Path) -> None:
    """Refuses a path that cannot be a folder to write into.

    Raises:
        ConfigError: it is a file, or nothing can be written there.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{option} {path}: it is a file; name a folder")
    require_place(option, path, path / "x")


def _why_closed(folder: Path) -> str:
    if not os.access(folder, os.W_OK | os.X_OK):
        return "no right to write"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__
