"""Registers every site at its first task request and refuses before round 0."""

import threading
import time

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal

import fedvox
from fedvox.aggregation.registration import Registration, refusals, registration_from
from fedvox.data.organs import label_map_hash
from fedvox.errors import ConfigError
from fedvox.flare.messages import REGISTRATION
from fedvox.flare.senders import TOKEN, is_sender
from fedvox.flare.server_run import server_run


class Handshake(FLComponent):
    """Collects registrations and tells the training workflow when, and whether, to start.

    Args:
        timeout: seconds to wait for sites that are connected but have not asked for a task.
    """

    def __init__(self, timeout: float = 120.0) -> None:
        super().__init__()
        self.timeout = timeout
        self.registrations: dict[str, Registration] = {}
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Reads the registration from the peer context of a task request."""
        if event_type != EventType.BEFORE_PROCESS_TASK_REQUEST:
            return
        peer = fl_ctx.get_peer_context()
        site = str(peer.get_identity_name())
        if not is_sender(site, peer.get_prop(TOKEN), fl_ctx):
            return  # somebody else in its name
        with self._lock:
            if site in self.registrations:
                return
            values = peer.get_prop(REGISTRATION)
            try:
                registration = registration_from(values if isinstance(values, dict) else {}, site)
            except ConfigError as error:
                registration = Registration(fedvox.__version__, "", error=str(error))
            self.registrations[site] = registration

    def wait(self, min_sites: int, fl_ctx: FLContext, abort_signal: Signal) -> None:
        """Waits until all connected sites have registered, then judges.

        Args:
            min_sites: sites that the job needs at least.
            fl_ctx: FLARE context of the workflow.
            abort_signal: ends the wait.

        Raises:
            ConfigError: a site cannot take part, or too few sites came.
        """
        deadline = time.monotonic() + self.timeout
        seen: dict[str, Registration] = {}
        while not abort_signal.triggered:
            names = {client.name for client in fl_ctx.get_engine().get_clients()}
            with self._lock:
                seen = dict(self.registrations)
            self._judge(seen, fl_ctx)
            if len(names) >= min_sites and names <= set(seen):
                break
            if time.monotonic() > deadline:
                if len(seen) < min_sites:
                    raise ConfigError(
                        f"{len(seen)} of {min_sites} needed sites registered within "
                        f"{self.timeout:g} s; check that the others run and can reach the server"
                    )
                break
            time.sleep(0.2)
        if abort_signal.triggered:
            return
        run = server_run(fl_ctx)
        run.registered = {site: own.cases for site, own in seen.items()}
        run.phantom = any(own.phantom for own in seen.values())
        run.modalities = sorted({m for own in seen.values() for m in own.modalities})
        self._judge(seen, fl_ctx, complete=True)

    def _judge(
        self, seen: dict[str, Registration], fl_ctx: FLContext, complete: bool = False
    ) -> None:
        data = server_run(fl_ctx).job.data
        organs = data.organs if complete else ()
        reasons = refusals(
            seen, fedvox.__version__, label_map_hash(data.organs), organs, data.modalities
        )
        if reasons:
            raise ConfigError(reasons[0])
