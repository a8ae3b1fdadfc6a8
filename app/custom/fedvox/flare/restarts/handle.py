"""The handle of a job's process that is started again when a signal ended it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from logging import Logger

from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.app_common.job_launcher.process_launcher import ProcessHandle
from nvflare.utils.process_utils import ProcessAdapter

from fedvox.flare.restarts.start import FINISHED, RESTARTS, SIGNAL

PAUSES = (2.0, 5.0, 15.0, 40.0, 100.0)
"""Seconds before each restart in a row; after the last one the process stays ended."""


class RestartingHandle(ProcessHandle):
    """FLARE asks ``poll`` and ``wait`` for the process; while a restart is due they say that it
    goes on, so that FLARE's books never see a death that is mended. A process that is killed after
    the run had :data:`FINISHED` has ended well: the sites have gone, and none would come again.

    Args:
        spawn: starts the process with more environment variables.
        progress: what the process got done so far; restarts in a row are counted anew when it
            differs from what it was at the last restart.
        outlast: what becomes of the handle after the last try: True lets the job go on without this
            process until FLARE ends it, as other sites can; False tells FLARE that it failed.
        logger: for a line at each restart.
        pauses: as :data:`PAUSES`.
    """

    def __init__(
        self,
        spawn: Callable[[Mapping[str, str]], ProcessAdapter],
        progress: Callable[[], str],
        outlast: bool,
        logger: Logger,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._spawn, self._progress, self._outlast = spawn, progress, outlast
        self._log, self._pauses = logger, tuple(pauses)
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._in_row, self._total, self._known = 0, 0, ""
        self.adapter: ProcessAdapter
        super().__init__(process_adapter=spawn({}))

    def terminate(self, **options: object) -> None:
        """Ends the process for good; FLARE names a reason that does not matter here."""
        with self._lock:
            self._stopped.set()
            self.adapter.terminate()

    def poll(self) -> int:
        """FLARE's return code of the process; UNKNOWN while it runs or will be started again."""
        with self._lock:
            code = self.adapter.poll()
            if self._mends(code):
                return int(JobReturnCode.UNKNOWN)
            if code is not None and code < 0 and self._progress() == FINISHED:
                return int(JobReturnCode.SUCCESS)
        return int(super().poll())

    def wait(self) -> None:
        """Returns when the process has ended and is not started again."""
        while True:
            self.adapter.wait()
            with self._lock:
                code = self.adapter.poll()
                if not self._mends(code):
                    return
            pause = self._next_pause()
            if pause is None:
                self._log.error(
                    "the job's process ended by signal %d once more and is not started again; "
                    "the job goes on without it",
                    -code,
                )
                self._stopped.wait()
                return
            self._log.error(
                "the job's process was ended by signal %d; it is started again in %g s (%d of %d "
                "in a row)",
                -code,
                pause,
                self._in_row,
                len(self._pauses),
            )
            if self._stopped.wait(pause):
                return
            with self._lock:
                if self._stopped.is_set():
                    return
                self._total += 1
                changes = {RESTARTS: str(self._total), SIGNAL: str(-code)}
                self.adapter = self._spawn(changes)

    def _mends(self, code: int | None) -> bool:
        """Whether an end with this code is kept from FLARE."""
        if code is None or code >= 0 or self._stopped.is_set() or self._progress() == FINISHED:
            return False
        return self._outlast or self._in_row < len(self._pauses) or self._progress() != self._known

    def _next_pause(self) -> float | None:
        """Seconds to the next start; None after the last one."""
        done = self._progress()
        if done != self._known:
            self._in_row, self._known = 0, done
        if self._in_row >= len(self._pauses):
            return None
        self._in_row += 1
        return self._pauses[self._in_row - 1]
