"""Which cases a process works on, kept on disk: after a crash it can be told what ended it.

A file that shrinks while it is mapped, a fault in a library or the out-of-memory killer ends a
process without a word. Names of prepared files stand here, which are HMACs.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from fedvox.files import PRIVATE


class InWork:
    """Keeps a file's content at the names of the cases in work, one per line.

    A kill loses nothing that was written, so nothing has to reach the disk.

    Args:
        path: the file; made anew.
        watched: of these names :attr:`survived` is told the first time that work on one ends.
        survived: gets the name.
    """

    def __init__(
        self, path: Path, watched: Collection[str], survived: Callable[[str], None]
    ) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE)
        self._watched, self._survived = set(watched), survived
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
            self._names[name] += by
            if not self._names[name]:
                del self._names[name]
            elif self._names[name] > 1 or by < 0:
                return
            text = "".join(f"{name}\n" for name in sorted(self._names))
            self._width = max(self._width, len(text))
            # one call with blanks over what stood there: never half an old and half a new content
            os.pwrite(self._file, text.ljust(self._width).encode("ascii"), 0)
            told = by < 0 and name in self._watched
            self._watched -= {name} if told else set()
        if told:
            self._survived(name)


_recorder: InWork | None = None


def record_work(recorder: InWork | None) -> None:
    """Has the process's work on cases kept from now on; None ends that."""
    global _recorder
    _recorder = recorder


@contextmanager
def working_on(prepared: Path) -> Iterator[None]:
    """Work on a case that may end the process: reading, preparing, scoring it.

    Args:
        prepared: the prepared file, which need not be there yet.
    """
    if _recorder is None:
        yield
        return
    with _recorder.on(prepared.stem):
        yield


def read_work(path: Path) -> list[str]:
    """The cases that were in work when the process that wrote the file ended."""
    return path.read_text(encoding="ascii", errors="replace").split() if path.is_file() else []
