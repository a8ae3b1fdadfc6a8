"""Lets a process run as a user without a name and with a home that cannot be written.

Containers and clusters give processes a number and no entry in ``/etc/passwd`` (OpenShift,
``docker run --user 20000``). Libraries that ask for the user's name break at their import then, and
caches in the home have no place. Importing fedvox settles both, in every process: commands, FLARE's
job processes and tests.
"""

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for the user's name before it asks the system."""
_CACHES = {
    "MPLCONFIGDIR": "matplotlib",
    "XDG_CACHE_HOME": "cache",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}
"""Variables that name a library's cache, and its folder in ours."""
_SHARED = "TORCHINDUCTOR_CACHE_DIR"
"""By default in a folder of ``/tmp`` that anybody could have made before."""


def settle() -> None:
    """Sets what is missing in this process's environment, which its children take over.

    A name or a cache that the user set stays. Without a home that can be written, caches lie in a
    private temporary folder, which the process that made it removes when it ends; without any home
    that folder is the home as well.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # which of them depends on Python's version
        os.environ["USER"] = os.environ["LOGNAME"] = f"user-{os.getuid()}"
    home = _home()
    wanted = {name: place for name, place in _CACHES.items() if not os.environ.get(name)}
    if home is not None and _can_be_written(home):
        os.environ.setdefault(_SHARED, str(home / ".cache/fedvox/inductor"))
    elif wanted:
        folder = Path(tempfile.mkdtemp(prefix="fedvox-"))
        atexit.register(_remove, folder, os.getpid())
        os.environ |= {name: str(folder / place) for name, place in wanted.items()}
        if home is None:
            os.environ["HOME"] = str(folder)


def _home() -> Path | None:
    """The user's home, if there is anything that says where it should be."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _can_be_written(folder: Path) -> bool:
    try:  # the folder's mode says nothing of a file system that is mounted read-only
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _remove(folder: Path, owner: int) -> None:
    """Removes the caches, unless this is a child that took over its parent's register."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
