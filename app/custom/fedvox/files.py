"""Files that appear whole or not at all."""

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

UNFINISHED = ".writing-"
"""How the names of files begin that are not whole yet."""

PRIVATE = 0o600
"""Mode of files that only their owner may read."""


def private_folder(folder: Path) -> None:
    """Makes a folder, and what is missing above it, that only its owner can enter.

    An existing folder of this user is closed to others; those above it stay as they are.
    """
    _make_folders(folder, 0o700)
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        folder.chmod(stat.S_IMODE(status.st_mode) & ~0o077)


def _make_folders(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent, mode)
        folder.mkdir(mode=mode, exist_ok=True)


def _allowed(mode: int) -> int:
    """A mode without what the user's umask takes away."""
    try:  # os.umask() can only be asked by setting it, for all threads
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        mask = int(status.partition("Umask:")[2].split()[0], 8)
    except (OSError, IndexError, ValueError):
        mask = os.umask(0o077)
        os.umask(mask)
    return mode & ~mask


@contextmanager
def atomic_path(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yields a temporary sibling of ``path`` that replaces it when the block ends without error.

    The sibling can be read by its owner only; the file that appears has ``mode``, less what the
    user's umask takes away. Folders that are made for a private file are private too.
    """
    _make_folders(path.parent, 0o700 if mode & 0o077 == 0 else 0o755)
    # Of the name nothing but the ending, by which nibabel decides whether to compress.
    suffix = ".nii.gz" if path.name.endswith(".nii.gz") else path.suffix
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(_allowed(mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_once(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file unless it exists; of several processes the first one's content stays."""
    _make_folders(path.parent, 0o700 if mode & 0o077 == 0 else 0o755)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(_allowed(mode))
        try:
            os.link(temporary, path)
        except OSError:  # another was first; or there are no hard links, and the last one wins
            if not path.exists():
                temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, hours: float = 1.0) -> None:
    """Removes what a killed process was writing into a folder.

    Args:
        folder: an existing folder of files that :func:`atomic_path` makes.
        hours: younger files may belong to a process that still writes them.
    """
    for path in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another process tidies up as well
            if time.time() - path.stat().st_mtime > hours * 3600:
                path.unlink()


def write_readable_json(path: Path, mapping: Mapping[str, Any]) -> None:
    """Writes JSON for people, atomically: one key of a section per line, lists on one line."""
    lines = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f"  {json.dumps(key)}: {{\n{inner}\n  }}")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a text file atomically."""
    with atomic_path(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any] | list[Any], mode: int = 0o644) -> None:
    """Writes JSON atomically, indented, with a final newline."""
    write_text(path, json.dumps(content, indent=2) + "\n", mode)
