"""The server's side of a plan run: FLARE's statistics workflow, then the plan and its files."""

import math
from typing import Any

import numpy as np
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.statistics_writer import StatisticsWriter
from nvflare.app_common.app_constant import StatisticsConstants as StC
from nvflare.app_common.workflows.statistics_controller import StatisticsController

from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.run.incoming import HANDSHAKE, registration_of
from fedvox.flare.run.messages import MEMORY, UNREADABLE
from fedvox.flare.run.moved import refuse_arguments
from fedvox.flare.run.places import is_simulator
from fedvox.flare.run.run_end import error_text, finish, watch_end
from fedvox.flare.run.senders import TOKEN, authenticate, is_sender
from fedvox.flare.run.server_run import server_run
from fedvox.flare.run.server_start import await_sites, open_run
from fedvox.flare.run.statistics import read_statistics, statistic_configs
from fedvox.planning.fingerprint import SPACING, Fingerprint
from fedvox.planning.groups import plan_group, plan_groups
from fedvox.planning.plan import FreeMemory, make_plan
from fedvox.planning.step_memory import measure_step
from fedvox.privacy.forms import one_of, whole
from fedvox.report.plan import plan_text, write_plan

WRITER = "plan"
_DEVICE, _BYTES = one_of(("cpu", "cuda", "mps")), whole(2**50)


class FedVoxStatistics(StatisticsController):
    """FLARE's StatisticsController, which waits for the handshake, asks for the fixed features and
    takes nothing that is not of the known form. It waits for ``waiting.sites`` sites, and for the
    others ``waiting.first`` seconds longer, in which they read every training case.

    Raises:
        ConfigError: the job's files are of the time before ``waiting``.
    """

    def __init__(self, **moved: object) -> None:
        refuse_arguments(moved)
        super().__init__(statistic_configs(), WRITER, enable_pre_run_task=False)
        self.refused = False

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Reads the settings before the first site asks for a task."""
        try:
            run = open_run(fl_ctx)
            run.stage, waiting = "plan", run.job.waiting
            self.min_clients = waiting.sites
            self.wait_time_after_min_received = math.ceil(waiting.first)
            super().start_controller(fl_ctx)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Refuses in the handshake, or asks for the statistics."""
        try:
            await_sites(HANDSHAKE, fl_ctx, abort_signal)
        except (FedVoxError, OSError) as error:
            self.system_panic(error_text(error), fl_ctx)
            return
        super().control_flow(abort_signal, fl_ctx)

    def broadcast_and_wait(self, *args: Any, **kwargs: Any) -> None:
        """Asks the sites that take part; who was left out after the handshake is not."""
        run = server_run(kwargs["fl_ctx"])
        connected = [client.name for client in self._engine.get_clients()]
        targets = run.asked_sites(connected, self.min_clients)
        super().broadcast_and_wait(*args, **{**kwargs, "targets": targets})

    def refuse(self, reason: str, fl_ctx: FLContext) -> None:
        """Stops the run; what FLARE says of missing results afterwards would hide the reason."""
        self.refused = True
        self.system_panic(reason, fl_ctx)

    def results_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Checks a site's result before FLARE adds it up, and hands on what was checked."""
        site, run = client_task.client.name, server_run(fl_ctx)
        authenticate(site, client_task.result, fl_ctx)
        code = client_task.result.get_return_code()
        if code not in (None, ReturnCode.OK):  # FLARE would wait on at the codes it does not know
            self.handle_client_errors(code, client_task, fl_ctx)
            return
        asked = client_task.task.props[StC.STATISTICS_TASK_KEY]
        try:
            data = from_shareable(client_task.result).data
            known = registration_of(site, fl_ctx)
            cases = known.cases if known else sum(run.registered.get(site, {}).values())
            data = read_statistics(data, asked, plan_groups(run.job.data), cases)
            client_task.result = DXO(DataKind.STATISTICS, data=data).to_shareable()
        except (ConfigError, *UNREADABLE):
            self.refuse(
                f"{site} sent statistics of an unknown form; update its fedvox or leave it out",
                fl_ctx,
            )
            return
        super().results_cb(client_task, fl_ctx)

    def handle_client_errors(self, rc: str, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """A site without a fingerprint stops the run: its plan would not be everyone's."""
        self.refuse(
            f"{client_task.client.name} gave no fingerprint ({rc}); see the first ERROR in its "
            "log, or leave the site out",
            fl_ctx,
        )

    def post_fn(self, task_name: str, fl_ctx: FLContext) -> None:
        """Plans; what cannot be planned stops the run with its reason."""
        if self.refused:
            return
        try:
            super().post_fn(task_name, fl_ctx)
        except FedVoxError as error:
            self.refuse(str(error), fl_ctx)


class PlanWriter(StatisticsWriter):
    """Makes the plan from the summed statistics, writes the run's files and prints the table."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[str, dict[str, Any]] = {}

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Notes what memory each site has, from the peer context of its task requests."""
        watch_end(event_type, fl_ctx)
        if event_type == EventType.BEFORE_PROCESS_TASK_REQUEST:
            peer = fl_ctx.get_peer_context()
            told = peer.get_prop(MEMORY)
            if not is_sender(peer.get_identity_name(), peer.get_prop(TOKEN), fl_ctx):
                return
            if isinstance(told, dict) and _DEVICE(told.get("device")) and _BYTES(told.get("bytes")):
                own = {name: told[name] for name in ("device", "bytes")}
                self.memory.setdefault(str(peer.get_identity_name()), own)

    def save(self, data: dict[str, Any], overwrite_existing: bool, fl_ctx: FLContext) -> None:
        """Called by the workflow with the statistics of the sites and of all together.

        Raises:
            ConfigError: a modality that a site holds reached the server from none, or no patch
                fits into the memory.
        """
        run = server_run(fl_ctx)
        counts = site_counts(data)
        fingerprints = global_fingerprints(data)
        held = sorted({plan_group(name, run.job.data) for name in run.modalities})
        refuse_silent(held, fingerprints)
        memory = smallest_memory(self.memory, len(run.registered) if is_simulator(fl_ctx) else 1)
        plan = make_plan(fingerprints, run.job, memory, measure_step(run.job), run.phantom)
        path = write_plan(run.results, plan, fingerprints, counts)
        finish(run, fl_ctx)
        print(plan_text(plan, fingerprints, counts, held, path), flush=True)


def site_counts(data: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Modality -> site -> contributed cases, 0 where there are none or too few."""
    found: dict[str, dict[str, int]] = {}
    by_statistic = data[SPACING[0]]
    for site, counts in by_statistic[StC.STATS_COUNT].items():
        if site == StC.GLOBAL:
            continue
        failures = by_statistic.get(StC.STATS_FAILURE_COUNT, {}).get(site, {})
        for modality, count in counts.items():
            found.setdefault(modality, {})[site] = int(count) - int(failures.get(modality, 0))
    return found


def global_fingerprints(data: dict[str, Any]) -> dict[str, Fingerprint]:
    """Modality -> fingerprint over all sites, as FLARE summed it; without those of no case.

    Args:
        data: feature -> statistic -> site or ``Global`` -> modality -> value.
    """
    cases: dict[str, int] = {}
    counted: dict[str, dict[str, int]] = {}
    histograms: dict[str, dict[str, np.ndarray]] = {}
    for feature, statistics in data.items():
        for modality, bins in statistics.get(StC.STATS_HISTOGRAM, {}).get(StC.GLOBAL, {}).items():
            counts = np.array([entry.sample_count for entry in bins], np.float64)
            if counts.sum() > 0:
                cases[modality] = int(statistics[StC.STATS_COUNT][StC.GLOBAL][modality])
                counted.setdefault(modality, {})[feature] = round(float(counts.sum()))
                histograms.setdefault(modality, {})[feature] = counts
    return {m: Fingerprint(cases[m], counted[m], histograms[m]) for m in sorted(histograms)}


def refuse_silent(held: list[str], fingerprints: dict[str, Fingerprint]) -> None:
    """Refuses to plan without a modality that sites hold.

    Raises:
        ConfigError: names it and the remedy.
    """
    silent = sorted(set(held) - set(fingerprints))
    if silent:
        raise ConfigError(
            f"no site has enough training cases of {', '.join(silent)} to say anything of them "
            "(min_cases); take it out of 'data.modalities', or add cases or a site"
        )


def smallest_memory(told: dict[str, dict[str, Any]], sharing: int) -> FreeMemory:
    """The site with the least memory.

    Args:
        told: site -> what it published, untrusted.
        sharing: sites on one machine, as in a simulator: each gets its part.

    Raises:
        ConfigError: no site told a number.
    """
    known = {
        site: entry["bytes"]
        for site, entry in told.items()
        if type(entry.get("bytes")) is int and entry["bytes"] >= 0
    }
    if not known:
        raise ConfigError("no site told how much memory it has; update their fedvox")
    site = min(sorted(known), key=lambda name: known[name])
    gpu = any(told[name].get("device") == "cuda" for name in known)
    return FreeMemory(known[site] / sharing, site, gpu, sharing)
