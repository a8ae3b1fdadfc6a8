"""The site's side of a plan run: its fingerprint, and how much memory a step may take."""

import logging
from pathlib import Path
from typing import Any

import torch
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import StatisticsConstants as StC
from nvflare.app_common.executors.statistics.statistics_task_handler import StatisticsTaskHandler

import fedvox
from fedvox.admission.registration import Registration
from fedvox.data.organs import label_map_hash
from fedvox.data.site.fatal import NONE
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import FedVoxError
from fedvox.flare.run import messages
from fedvox.flare.run.failures import failure_line
from fedvox.flare.run.site_setup import fatal_cases, find_site
from fedvox.flare.run.site_start import ask_again_in_time, checked_job, publish_registration
from fedvox.flare.run.statistics import (
    MIN_CASES,
    FingerprintStatistics,
    checked_min_cases,
    checked_statistics,
)
from fedvox.job.device import choose_device
from fedvox.job.settings import JobSettings
from fedvox.memory import GIB, free_memory
from fedvox.planning.fingerprint import Fingerprint
from fedvox.planning.fingerprint_site import (
    TrainingCases,
    kept_fingerprints,
    list_training_cases,
    read_fingerprints,
    write_fingerprints,
)
from fedvox.planning.groups import plan_groups

logger = logging.getLogger(__name__)


class PlanExecutor(Executor):
    """Reads the site's training cases and answers FLARE's statistics tasks from them.

    It refuses under the same conditions as :class:`fedvox.flare.executor.FedVoxExecutor`.

    Args:
        min_cases: the minimum-cases rule of the job; the site's policy applies its own after it.
    """

    def __init__(self, min_cases: int = MIN_CASES) -> None:
        super().__init__()
        self.min_cases = checked_min_cases(min_cases)
        self.job: JobSettings | None = None
        self.site: tuple[SiteSettings, Path] | None = None
        self.cases: TrainingCases | None = None
        self.fatal = NONE

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Lists the cases and publishes registration and free memory when the run starts."""
        if event_type == EventType.START_RUN:
            ask_again_in_time(fl_ctx)
            registration = self._start(fl_ctx)
            publish_registration(registration, fl_ctx)
            if self.job is not None and not registration.external:
                memory = site_memory(self.job)
                fl_ctx.set_prop(messages.MEMORY, memory, private=False, sticky=True)

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Answers a statistics task; a failure is reported as its kind, without a file name."""
        if task_name != StC.FED_STATS_TASK:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            return self._answer(shareable, fl_ctx, abort_signal)
        except Exception as error:
            logger.error("%s", failure_line(str(fl_ctx.get_identity_name()), error, task_name))
        return make_reply(ReturnCode.EXECUTION_EXCEPTION)

    def _start(self, fl_ctx: FLContext) -> Registration:
        site = str(fl_ctx.get_identity_name())
        label_map = ""
        try:
            job = checked_job(fl_ctx)
            label_map = label_map_hash(job.data.organs)
            choose_device(job.training.device)
            self.site = find_site(fl_ctx, job)
            self.fatal = fatal_cases(fl_ctx, self.site[1])
            cases = list_training_cases(site, self.site[0], job.data)
        except Exception as error:
            reason = failure_line(site, error, "start")
            logger.error("%s", reason)
            return Registration(fedvox.__version__, label_map, error=reason)
        self.job, self.cases = job, cases
        return Registration(
            version=fedvox.__version__,
            label_map=label_map,
            annotated=tuple(cases.annotated(job.data.organs)),
            modalities=tuple(cases.modalities),
            training=cases.counts,
            external=cases.external,
            test=cases.test_counts,
            skipped=cases.quarantined,
            phantom=cases.phantom,
            source=cases.source,
        )

    def _answer(self, shareable: Shareable, fl_ctx: FLContext, abort: Signal) -> Shareable:
        if self.job is None:
            raise FedVoxError("the site could not list its data at the start of the run")
        site = str(fl_ctx.get_identity_name())
        found = self._fingerprints(site, str(fl_ctx.get_job_id()), abort)
        if found is None:
            return make_reply(ReturnCode.TASK_ABORTED)
        handler = StatisticsTaskHandler("")
        groups = plan_groups(self.job.data)
        handler.stats_generator = FingerprintStatistics(found, groups)
        answer = handler.execute_task(StC.FED_STATS_TASK, shareable, fl_ctx, abort)
        parts = {key: value for key, value in answer.items() if key != ReservedHeaderKey.HEADERS}
        data = checked_statistics(parts, self.min_cases, site, groups)
        return DXO(DataKind.STATISTICS, data=data).to_shareable()

    def _fingerprints(self, name: str, job_id: str, abort: Signal) -> dict[str, Fingerprint] | None:
        """Read once a job: a second task finds it on disk, also in another process.

        A clone shares the state folder with its parent, and reads again: cases may have come.
        """
        if self.job is None or self.site is None or self.cases is None:
            return None
        site, state = self.site
        kept = state / f"fingerprint-{job_id}.json"
        found = kept_fingerprints(kept)
        if found is None:
            organs = self.job.data.organs
            found = read_fingerprints(
                name, site, self.cases, organs, lambda: bool(abort.triggered), self.fatal
            )
            if found is not None:
                write_fingerprints(kept, found)
        return found


def site_memory(job: JobSettings) -> dict[str, Any]:
    """Device of a step and bytes that are free on it now, rounded down to 0.1 GiB."""
    device = choose_device(job.training.device)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    tenth = GIB / 10
    return {"device": device.type, "bytes": int(int(free / tenth) * tenth)}
