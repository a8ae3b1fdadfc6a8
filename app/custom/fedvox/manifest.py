"""SHA-256 manifests: what a folder held when it was made, in the form that ``sha256sum`` checks."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from fedvox.errors import ConfigError
from fedvox.files import write_text

MANIFEST = "MANIFEST.sha256"


def write_manifest(folder: Path, target: Path, parts: tuple[str, ...] = ("",)) -> None:
    """Writes one line per file, ``<sha256>  <path>``, sorted by path.

    Args:
        folder: paths are relative to it.
        target: the manifest, which does not list itself.
        parts: sub-folders of ``folder`` to list; the default lists everything.
    """
    lines = [
        f"{digest}  {name}\n"
        for name, digest in sorted(digests(folder, parts).items())
        if folder / name != target
    ]
    write_text(target, "".join(lines))


def read_manifest(path: Path) -> dict[str, str]:
    """File -> SHA-256.

    Raises:
        ConfigError: it is missing or a line is not one of a manifest.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"{path.name} is missing or unreadable; get the folder that it belongs to afresh"
        ) from None
    found: dict[str, str] = {}
    for line in lines:
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64 or not name:
            raise ConfigError(f"{path.name}: line {len(found) + 1} is not '<sha256>  <file>'")
        found[name] = digest
    return found


def differences(folder: Path, manifest: Path, parts: tuple[str, ...] = ("",)) -> list[str]:
    """One line per file that was changed, is missing or was added since the manifest was written.

    Args:
        folder, parts: as for :func:`write_manifest`.
        manifest: the manifest.

    Raises:
        ConfigError: the manifest cannot be read.
    """
    present = digests(folder, parts, caches=True)
    present.pop(_relative(manifest, folder), None)
    return compare(read_manifest(manifest), present)


def compare(expected: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """One line per file whose SHA-256 differs or that only one side has, sorted."""
    lines = [f"{name}: missing" for name in expected if name not in present]
    lines += [f"{n}: changed" for n, d in expected.items() if present.get(n, d) != d]
    lines += [f"{name}: added" for name in present if name not in expected]
    return sorted(lines)


def digests(folder: Path, parts: tuple[str, ...] = ("",), caches: bool = False) -> dict[str, str]:
    """Path -> SHA-256 of every file.

    Args:
        folder, parts: as for :func:`write_manifest`.
        caches: counts Python's caches too, which Python would run.
    """
    files = {path for part in parts for path in (folder / part).rglob("*") if path.is_file()}
    return {
        _relative(path, folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if caches or "__pycache__" not in path.parts
    }


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
