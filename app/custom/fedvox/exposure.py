"""Whether a file about patients would travel along: into a repository, or with a start-up kit."""

import os
import shutil
import subprocess
from pathlib import Path

_TRAVELS = ("startup", "local", "transfer")
"""Folders of a kit: two are copied with it, the third is what the console sends."""
_SITE_FILE = "fedvox_site.json"
"""Belongs into ``local/``, where FLARE looks for it."""


def exposed(path: Path) -> str:
    """Why something does not stay where it lies; empty when nothing speaks against the place.

    Links are followed. A file that is itself a link counts where the link lies too: whoever writes
    it anew puts it there.

    Args:
        path: a file or folder, which need not exist yet.

    Returns:
        A clause, as ``git would commit it``.
    """
    places = [Path(os.path.realpath(path))]
    if path.is_symlink() and not path.is_dir():
        places.append(Path(os.path.realpath(path.parent)) / path.name)
    return next(filter(None, map(_exposed, places)), "")


def _exposed(path: Path) -> str:
    """The clause for one place, which no link leads to."""
    for folder in path.parents:
        in_kit = folder.name in _TRAVELS and any((folder.parent / "startup").glob("fed_*.json"))
        if in_kit and (folder.name, path.name) != ("local", _SITE_FILE):
            return f"it lies in {folder.name}/ of a start-up kit, which travels"
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
