"""Registers every site at its first task request: refuses before round 0, admits later ones."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal

import fedvox
from fedvox.admission.refusals import nothing_counts, refusals, shared_sources, site_refusals
from fedvox.admission.registration import Registration, re_registered, registration_from
from fedvox.admission.site_notes import dominant_sites, registration_text
from fedvox.data.organs import label_map_hash
from fedvox.errors import ConfigError
from fedvox.flare.run.happened import START, SiteStarts
from fedvox.flare.run.messages import REGISTRATION
from fedvox.flare.run.moved import refuse_arguments
from fedvox.flare.run.senders import TOKEN, is_sender
from fedvox.flare.run.server_run import ServerRun, only_test, server_run

MOST_CHANGES = 10
"""Changed registrations that are read of one site in a run; a site changes them by a restart."""


class Handshake(FLComponent):
    """Collects registrations, tells the workflow whether to start, and judges who comes later.

    What a site registers last bounds its claims and reports; what counts of it is never more than
    when it was admitted. How long it waits for sites that are connected but have not asked for a
    task, and for how many, stands in ``waiting`` of ``training.json``.

    Raises:
        ConfigError: the job's files are of the time before ``waiting``.
    """

    def __init__(self, **moved: object) -> None:
        refuse_arguments(moved)
        super().__init__()
        self.registrations: dict[str, Registration] = {}
        self._first: dict[str, Registration] = {}
        self._heard: dict[str, tuple[int, Registration | None]] = {}
        self._warned: set[str] = set()
        self._started = False
        self._starts = SiteStarts()
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Reads the registration from the peer context of a task request."""
        if event_type != EventType.BEFORE_PROCESS_TASK_REQUEST:
            return
        peer = fl_ctx.get_peer_context()
        site = str(peer.get_identity_name())
        if not is_sender(site, peer.get_prop(TOKEN), fl_ctx):
            return  # somebody else in its name
        values = peer.get_prop(REGISTRATION)
        with self._lock:
            self._starts.note(site, peer.get_prop(START), server_run(fl_ctx), fl_ctx)
            own = _read(values, site)
            changes, known = self._heard.get(site, (0, None))
            # the hash of what a site keeps between rounds changes with it and decides nothing
            standing = replace(own, state="")
            if changes > MOST_CHANGES or standing == known:
                return
            self._heard[site] = (changes + 1, standing)
            if self._started:
                self._admit(site, own, server_run(fl_ctx))
            else:
                self.registrations[site] = own

    def wait(self, fl_ctx: FLContext, abort_signal: Signal) -> None:
        """Waits until all connected sites have registered, then judges.

        Args:
            fl_ctx: FLARE context of the workflow.
            abort_signal: ends the wait.

        Raises:
            ConfigError: a site cannot take part, or too few sites came.
        """
        waiting = server_run(fl_ctx).job.waiting
        min_sites, limit = waiting.sites, waiting.handshake
        deadline = time.monotonic() + limit
        while not abort_signal.triggered:
            names = {client.name for client in fl_ctx.get_engine().get_clients()}
            with self._lock:
                seen = dict(self.registrations)
            self._judge(seen, fl_ctx)
            training = _training(seen)
            enough = len(training) if training else len(names)  # a job that none trains ends now
            if min(enough, len(names)) >= min_sites and names <= set(seen):
                break
            if time.monotonic() > deadline:
                if len(training) < min_sites:
                    raise ConfigError(
                        f"{len(training)} of {min_sites} needed sites registered within "
                        f"{limit:g} s{only_test(set(seen) - set(training))}"
                        f"{_awaited(names - set(seen))}; check that the others run and can reach "
                        "the server"
                    )
                break
            time.sleep(0.2)
        if not abort_signal.triggered:
            self._start(fl_ctx)

    def _start(self, fl_ctx: FLContext) -> None:
        """The last look before round 0; who registers from now on is judged alone."""
        run = server_run(fl_ctx)
        names = {client.name for client in fl_ctx.get_engine().get_clients()}
        with self._lock:
            seen, self._started = dict(self.registrations), True
            self._first = dict(seen)
            self._publish(run)
        awaited = names - set(seen)
        self._judge(seen, fl_ctx)
        try:
            self._judge(seen, fl_ctx, complete=True)
        except ConfigError as error:
            raise ConfigError(f"{error}{_still_preparing(awaited)}") from None
        limit = run.job.waiting.handshake
        for site in sorted(awaited):
            run.note(
                f"{site} is connected and did not register within {limit:g} s: the job starts "
                "without it, it joins when its cases are prepared"
            )
        with self._lock:
            self._warn(run)

    def _admit(self, site: str, own: Registration, run: ServerRun) -> None:
        """Judges one site alone, after the start: the job goes on without an unfit one."""
        data, most = run.job.data, run.job.training.most_cases
        label_map = label_map_hash(data.organs)
        others = {name: other for name, other in self.registrations.items() if name != site}
        reasons = site_refusals(site, own, fedvox.__version__, label_map, data.modality_sets, most)
        reasons = reasons or shared_sources({**others, site: own})
        reasons = reasons or nothing_counts(site, self._first.get(site, own), own)
        was_there = site in self.registrations
        if not reasons:
            self._first.setdefault(site, own)
        self.registrations = others if reasons else {**others, site: own}
        self._publish(run)
        counted = self._counted().get(site, own)
        if reasons:
            run.note(f"{reasons[0]}; {site} takes no part in the job until it is mended")
        elif was_there:
            run.note(f"{site} registered again; what counts now: {registration_text(counted)}")
        else:
            run.note(f"{site} came after the start and takes part: {registration_text(counted)}")
        self._warn(run)

    def _counted(self) -> dict[str, Registration]:
        """What counts of the sites that take part, by name."""
        known = sorted(self.registrations.items())
        return {site: re_registered(self._first.get(site, own), own) for site, own in known}

    def _warn(self, run: ServerRun) -> None:
        """Notes, once each, whose cases outweigh those of all others together."""
        by_cases = run.job.training.client_weight.by_cases
        for text in dominant_sites(self._counted(), by_cases):
            if text not in self._warned:
                self._warned.add(text)
                run.note(text)

    def _publish(self, run: ServerRun) -> None:
        """Tells the other components who takes part, in dictionaries that nobody changes."""
        admitted, counted = dict(sorted(self.registrations.items())), self._counted()
        run.admitted = admitted
        run.registered = {site: dict(counted[site].training) for site in _training(counted)}
        run.external = frozenset(counted) - frozenset(run.registered)
        run.validation = {site: dict(own.validation) for site, own in counted.items()}
        run.cases = {
            site: (sum(own.validation.values()), sum(own.test.values()))
            for site, own in admitted.items()
        }
        run.coarse = {site: own.coarse for site, own in admitted.items() if own.coarse > 0}
        run.phantom = run.phantom or any(own.phantom for own in admitted.values())
        held = {name for site in run.registered for name in admitted[site].trained}
        run.modalities = sorted({*run.modalities, *held})

    def _judge(
        self, seen: dict[str, Registration], fl_ctx: FLContext, complete: bool = False
    ) -> None:
        job = server_run(fl_ctx).job
        data, most = job.data, job.training.most_cases
        organs = data.organs if complete else ()
        label_map = label_map_hash(data.organs)
        reasons = refusals(seen, fedvox.__version__, label_map, organs, data.modality_sets, most)
        if reasons:
            raise ConfigError(reasons[0])


def _read(values: object, site: str) -> Registration:
    try:
        return registration_from(values if isinstance(values, dict) else {}, site)
    except ConfigError as error:
        return Registration(fedvox.__version__, "", error=str(error))


def _training(registrations: Mapping[str, Registration]) -> list[str]:
    """Sites that do not only test."""
    return [site for site, own in registrations.items() if not own.external]


def _awaited(sites: set[str]) -> str:
    return f"; connected and still silent: {', '.join(sorted(sites))}" if sites else ""


def _still_preparing(sites: set[str]) -> str:
    if not sites:
        return ""
    return (
        f"; {', '.join(sorted(sites))} is connected and has not registered yet, it may annotate "
        "it: wait until its cases are prepared and submit again, or export the job with a "
        "longer --set waiting.handshake"
    )
