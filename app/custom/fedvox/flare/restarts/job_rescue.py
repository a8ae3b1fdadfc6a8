"""After a restart of the server, jobs that were running go on under their own id."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, SystemComponents
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey, RunStatus
from nvflare.apis.workspace import Workspace

from fedvox.flare.restarts.own_origin import refuse_given_origin
from fedvox.flare.restarts.own_signature import sign_when_able
from fedvox.flare.run.places import RESULTS, STATE, run_id
from fedvox.memory import settle

RESUMES = "fedvox_resumes"
"""Key of a job's meta: how often it was taken up again."""
EARLIER = "earlier"
"""Folder in ``fedvox_state``, by job, for what FLARE's deployer would delete."""
_SCHEDULED = "scheduled"
"""Tag in FLARE's job store of a job that its scheduler has handed out."""


class JobRescue(FLComponent):
    """Puts jobs back into the queue that the server's end left RUNNING or DISPATCHED.

    Args:
        most: times in a row that one job is taken up without a finished round in between; then it
            is FINISHED:ABNORMAL and can be cloned or deleted.
        quiet: seconds after the start in which none of them is scheduled, so that sites have ended
            its old processes.
    """

    def __init__(self, most: int = 5, quiet: float = 40.0) -> None:
        super().__init__()
        self.most, self.quiet = most, quiet
        self._started = time.monotonic()
        self._rescued: set[str] = set()
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Rescues at the server's start, and holds back what it rescued for a while.

        Those that wait for the server knock while it starts; so it is made ready for them first. A
        submitted job that says of itself which one it goes on with is refused.
        """
        if event_type == EventType.SYSTEM_BOOTSTRAP:
            sign_when_able(fl_ctx.get_prop(FLContextKey.SITE_OBJ))
        elif event_type == EventType.SUBMIT_JOB:
            refuse_given_origin(fl_ctx)
        elif event_type == EventType.SYSTEM_START:
            self._rescue(fl_ctx)
            settle()
        elif event_type == EventType.BEFORE_CHECK_CLIENT_RESOURCES:
            job_id = fl_ctx.get_prop(FLContextKey.CURRENT_JOB_ID)
            if job_id in self._rescued and time.monotonic() - self._started < self.quiet:
                reason = "the server was started again; sites end the job's old processes"
                fl_ctx.set_prop(FLContextKey.JOB_BLOCK_REASON, reason, sticky=False)

    def _rescue(self, fl_ctx: FLContext) -> None:
        engine: Any = fl_ctx.get_engine()
        manager = engine.get_component(SystemComponents.JOB_MANAGER)
        states = [RunStatus.RUNNING, RunStatus.DISPATCHED]
        for job in manager.get_jobs_by_status(states, fl_ctx):
            try:
                self._take_up(job, manager, engine.get_workspace(), fl_ctx)
            except Exception as error:  # one broken job must not keep the others from going on
                self.log_error(fl_ctx, f"job {job.job_id}: {type(error).__name__}: {error}")

    def _take_up(self, job: Any, manager: Any, workspace: Workspace, fl_ctx: FLContext) -> None:
        root = Path(workspace.get_root_dir())
        count = int(job.meta.get(RESUMES, 0))
        mark = job.meta.get(f"{RESUMES}_at", "")
        now = progress_of(root, job)
        count = 0 if now != mark else count
        if count >= self.most:
            manager.set_status(job.job_id, RunStatus.FINISHED_ABNORMAL, fl_ctx)
            self.log_error(fl_ctx, f"job {job.job_id} was taken up {count} times; it is given up")
            return
        keep_earlier(Path(workspace.get_run_dir(job.job_id)), root / STATE / EARLIER / job.job_id)
        changes = {
            RESUMES: count + 1,
            f"{RESUMES}_at": now,
            JobMetaKey.SCHEDULE_COUNT.value: 0,
            JobMetaKey.LAST_SCHEDULE_TIME.value: 0,
        }
        manager.update_meta(job.job_id, changes, fl_ctx)
        manager.set_status(job.job_id, RunStatus.SUBMITTED, fl_ctx)
        (Path(manager.job_uri(job.job_id)) / _SCHEDULED).unlink(missing_ok=True)
        self._rescued.add(job.job_id)
        self.log_info(
            fl_ctx,
            f"job {job.job_id} was running when the server ended; it is queued again "
            f"({count + 1} of {self.most})",
        )


def keep_earlier(run_dir: Path, target: Path) -> None:
    """Moves logs and TensorBoard's files of a run that was cut off, which the next deployment of
    the same job would delete.

    Args:
        run_dir: the run's folder at the server.
        target: gets one numbered folder more.
    """
    found = [*sorted(run_dir.glob("*log*.txt")), run_dir / RESULTS / "tb"]
    found = [path for path in found if path.exists()]
    if not found:
        return
    number = sum(1 for path in target.glob("*") if path.is_dir()) + 1
    folder = target / str(number)
    folder.mkdir(parents=True, mode=0o700)
    for path in found:
        shutil.move(path, folder / path.name)


def progress_of(root: Path, job: Any) -> str:
    """Names how far the run of a job had got; empty before its first round ended.

    Args:
        root: the server's workspace.
        job: FLARE's.
    """
    clone_of = str(job.meta.get("cloned_from") or "")
    folder = root / STATE / run_id(root / STATE, job.job_id, clone_of)
    states = sorted(folder.glob("*/state.json"))
    return states[0].read_text(encoding="utf-8")[:64] if states else ""
