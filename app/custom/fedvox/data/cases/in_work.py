"""Which cases a process works on, kept on disk: after a crash it can be told what ended it.

A file that shrinks while it is mapped, a fault in a library or the out-of-memory killer ends a
process without a word. Names of prepared files stand here, which are HMACs.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from fedvox.files import PRIVATE

STEP = "step"
"""Stands for an optimiser step: what ends the process meanwhile is no single case's fault."""


class InWork:
    """Keeps a file's content at the names of what is in work, one per line.

    A kill loses nothing that was written, so nothing has to reach the disk.

    Args:
        path: the file; made anew.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE)
        self._names: Counter[str] = Counter()
        self._width, self._lock = 0, Lock()

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Work on a case, which may be part of other work on it."""
        self._change(name, 1)
        try:
            yield
        finally:
            self._change(name, -1)

    def _change(self, name: str, by: int) -> None:
        with self._lock:
            before = set(self._names)
            self._names[name] += by
            self._names += Counter()  # drops those that are at zero
            if set(self._names) == before:
                return
            text = "".join(f"{name}\n" for name in sorted(self._names))
            self._width = max(self._width, len(text))
            with suppress(OSError):  # a full disk must not end the work that it only keeps track of
                # one call, with blanks over what stood there: never half old and half new
                os.pwrite(self._file, text.ljust(self._width).encode("ascii"), 0)


_recorder: InWork | None = None


def record_work(recorder: InWork | None) -> None:
    """Has the process's work on cases kept from now on; None ends that."""
    global _recorder
    _recorder = recorder


@contextmanager
def working_on(what: Path | str) -> Iterator[None]:
    """Work on a case that may end the process: reading, preparing, scoring it.

    Args:
        what: the prepared file, which need not be there yet, or :data:`STEP`.
    """
    if _recorder is None:
        yield
        return
    with _recorder.on(Path(what).stem):
        yield


def read_work(path: Path) -> list[str]:
    """What was in work when the process that wrote the file ended."""
    return path.read_text(encoding="ascii", errors="replace").split() if path.is_file() else []
