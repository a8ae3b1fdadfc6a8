"""Whether a file about patients would travel along: into a repository, or with a start-up kit."""

import shutil
import subprocess
from pathlib import Path

_TRAVELS = ("startup", "transfer")
"""Folders of a kit: the first is copied with it, the second is what the console sends."""


def exposed(path: Path) -> str:
    """Why something does not stay where it lies; empty when nothing speaks against the place.

    Args:
        path: a file or folder, which need not exist yet.

    Returns:
        A clause, as ``git would commit it``.
    """
    path = Path(path).absolute()
    for name in _TRAVELS:
        for folder in path.parents:
            if folder.name == name and any((folder.parent / "startup").glob("fed_*.json")):
                return f"it lies in {name}/ of a start-up kit, which travels"
    return "git would commit it" if _committed(path) else ""


def _committed(path: Path) -> bool:
    """Is it in a git work tree that does not ignore it? A tree that git cannot read counts."""
    if not any((folder / ".git").exists() for folder in path.parents):
        return False
    git = shutil.which("git")
    if git is None:
        return True
    folder = next(parent for parent in path.parents if parent.is_dir())
    asked = subprocess.run(
        [git, "-C", str(folder), "check-ignore", "-q", str(path)], capture_output=True
    )
    return asked.returncode != 0
