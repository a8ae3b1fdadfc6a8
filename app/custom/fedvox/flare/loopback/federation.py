"""Starts, watches and stops the processes of a federation on this machine."""

import contextlib
import io
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from fedvox.errors import FedVoxError
from fedvox.flare.loopback.guard import MARK, end_all, marked, start_guard
from fedvox.flare.loopback.kits import Kits, flare_environment

READY_SECONDS = 300.0
ANSWER_SECONDS = 60.0
"""For the server's answer to one command; FLARE's 5 are too few on a busy machine."""


class Federation:
    """A server and its sites as processes; a context manager that leaves none behind.

    Args:
        kits: their start-up kits, in which they also work.
        sites: names of the sites to start, default all.
        changes: environment variables of all processes.
    """

    def __init__(
        self, kits: Kits, sites: Iterable[str] | None = None, changes: dict[str, str] | None = None
    ) -> None:
        self.kits = kits
        self.sites = list(kits.names("client") if sites is None else sites)
        self.mark = uuid.uuid4().hex
        self.environment = flare_environment({**(changes or {}), MARK: self.mark})
        self._guard: subprocess.Popen[bytes] | None = None
        self._scripts: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Federation":
        self._guard = start_guard(self.mark)
        try:
            self.start(self.kits.server)
            for site in self.sites:
                self.start(site)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Starts a participant through its kit's own script, which restarts it if it dies."""
        kit = self.kits.kit(name)
        script = kit / "startup" / "sub_start.sh"
        if not script.is_file():
            raise FedVoxError(f"{kit}: no start-up kit; build the kits with make provision")
        with self.output(name).open("ab") as output:
            self._scripts[name] = subprocess.Popen(
                ["bash", str(script)],
                cwd=kit,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self, name: str) -> Path:
        """Where a participant's console output goes."""
        return self.kits.folder / f"{name}.console.txt"

    def stop(self) -> None:
        """Ends all processes; returns when none is left."""
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            return
        guard.stdin.close()
        guard.wait()
        end_all(self.mark)  # in case somebody ended the guard

    def processes(self) -> list[int]:
        """Ids of the federation's living processes."""
        return [process.pid for process in marked(self.mark)]

    def session(self, user: str) -> Any:
        """A FLARE API session of a person; close it, or Python hangs on its threads.

        Raises:
            FedVoxError: the server does not answer in time.
        """
        from nvflare.fuel.flare_api.flare_api import new_secure_session

        deadline = time.monotonic() + READY_SECONDS
        while not self._listening() and time.monotonic() < deadline:
            time.sleep(0.5)
            script = self._scripts.get(self.kits.server)
            if script is None or script.poll() is not None:
                raise FedVoxError(f"the server does not start: {self._last_error()}")
        while True:
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # FLARE prints each try
                    return new_secure_session(
                        user,
                        str(self.kits.kit(user)),
                        timeout=5.0,
                        command_timeout=ANSWER_SECONDS,
                    )
            except Exception as error:  # FLARE raises one of a dozen kinds while the server starts
                if time.monotonic() > deadline:
                    raise FedVoxError(
                        f"the server does not let {user} in ({type(error).__name__}); see "
                        f"{self.output(self.kits.server)}"
                    ) from None
                time.sleep(0.5)

    @contextlib.contextmanager
    def joined(self, user: str, tell: Callable[[str], None] = lambda text: None) -> Iterator[Any]:
        """A person's session once all sites are there; it is closed before the server ends.

        Args:
            user: name of the person's kit.
            tell: hears of each site that joins.

        Raises:
            FedVoxError: as :meth:`session` and :meth:`wait_for_sites` do.
        """
        session = self.session(user)
        try:
            self.wait_for_sites(session, tell)
            yield session
        finally:
            session.close()

    def _last_error(self) -> str:
        """The last line of the server's console output that names an error, else the last one."""
        console = self.output(self.kits.server)
        text = console.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or [f"see {console}"])[-1]

    def _listening(self) -> bool:
        """Does the server's port take connections yet?"""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.kits.port)) == 0

    def wait_for_sites(self, session: Any, tell: Callable[[str], None] = lambda text: None) -> None:
        """Waits until all started sites are registered at the server.

        Raises:
            FedVoxError: names the sites that are not, and where their output lies.
        """
        deadline = time.monotonic() + READY_SECONDS
        joined: set[str] = set()
        while not set(self.sites) <= joined:
            now = {client.name for client in session.get_system_info().client_info}
            for site in sorted(now - joined):
                tell(f"{site} joined")
            joined |= now
            if time.monotonic() > deadline:
                missing = [site for site in self.sites if site not in joined]
                raise FedVoxError(
                    f"{', '.join(missing)} did not join within {READY_SECONDS:g} s; see "
                    f"{self.output(missing[0])}"
                )
            time.sleep(0.5)
