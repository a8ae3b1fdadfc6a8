"""A site that was started again gets its part of the running job again."""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_scheduler_spec import DispatchInfo

from fedvox.flare.restarts.job_rescue import progress_of

PAUSE = 10.0
"""Seconds between two tries for one site and job."""
OUTCOME_WAIT = 60.0
"""Seconds in which sites may say how their process ended after the server's has ended well; FLARE
gives them 900. One that was killed in its last second is started again and finds no server to talk
to: now the job ends, and with the next heartbeat that process."""


class SiteRejoin(FLComponent):
    """At the server's parent: a site that takes part in a job and registered anew after its whole
    software was ended is told to start its part again. The server's job hears of the new token by
    :func:`fedvox.flare.run.client_sync.keep_clients_known`.

    A site that is lost after the server's process has ended well does not fail the job any more,
    nor does one whose process ends with an error while others go on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._busy: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Prepares FLARE's books at the start, then compares the token of each heartbeat with those
        that are known."""
        engine: Any = fl_ctx.get_engine()
        if event_type == EventType.SYSTEM_START:
            engine.job_runner.client_outcome_wait_timeout = OUTCOME_WAIT
            engine.server._resolve_missing_client_outcome = partial(
                self._resolve, engine.job_runner
            )
            engine.job_runner.fail_run = partial(
                self._fail_unless_others, engine, engine.job_runner.fail_run
            )
        if event_type != EventType.CLIENT_HEARTBEAT_PROCESSED:
            return
        name = str(fl_ctx.get_peer_context().get_identity_name())
        current = engine.client_manager.name_to_clients.get(name)
        if current is not None:
            self._rejoin(engine, name, current)

    def _resolve(self, job_runner: Any, client: Any, job_id: str, reason: str) -> None:
        """Takes the place of FLARE's own way with a site that has nothing to say of how its process
        ended: that fails a job whose server has ended well, with all results written, where a
        site was killed or lost its link in its last seconds.
        """
        if job_runner.is_client_outcome_pending(job_id, client.name):
            job_runner.resolve_client_outcome(job_id, client.name)
            self.logger.info(
                "job %s: %s does not say how its process ended: %s", job_id, client.name, reason
            )

    def _fail_unless_others(
        self, engine: Any, fail: Callable[..., Any], job_id: str, code: int, fl_ctx: FLContext
    ) -> Any:
        """Takes the place of FLARE's own way with a site whose process ended with an error, such as
        a policy that somebody broke on the third day: that fails the job for all.

        Before the first round has ended it still does, so that the lead has what is wrong mended.

        Args:
            engine: of the server's parent.
            fail: FLARE's own way.
            job_id: of the job.
            code: how the site's process ended.
            fl_ctx: FLARE's context.
        """
        runner = engine.job_runner
        job, info = runner.running_jobs.get(job_id), engine.run_processes.get(job_id) or {}
        clients = list((info.get(RunProcessKey.PARTICIPANTS) or {}).values())  # threads change it
        left = sum(runner.is_client_outcome_pending(job_id, c.name) for c in clients) - 1
        root = Path(engine.get_workspace().get_root_dir())
        if job is None or left < max(1, job.min_sites or 1) or not progress_of(root, job):
            return fail(job_id, code, fl_ctx)
        self.logger.error("job %s goes on without that site; %d others take part", job_id, left)
        return None

    def _rejoin(self, engine: Any, name: str, current: Any) -> None:
        """Gives the site its part of the running jobs that know it under another token."""
        for job_id, info in list(engine.run_processes.items()):
            known = info.get(RunProcessKey.PARTICIPANTS) or {}
            stale = [token for token, client in list(known.items()) if client.name == name]
            if not stale or current.token in stale or not self._take((job_id, name)):
                continue
            work = (engine, job_id, current, known, stale)
            threading.Thread(target=self._restart, args=work, name=job_id, daemon=True).start()

    def _take(self, key: tuple[str, str]) -> bool:
        with self._lock:
            free = key not in self._busy
            self._busy.add(key)
            return free

    def _restart(
        self, engine: Any, job_id: str, client: Any, known: dict[str, Any], stale: list[str]
    ) -> None:
        name = client.name
        try:
            with engine.new_context() as fl_ctx:
                job = engine.job_runner.running_jobs[job_id]
                resources: dict[str, dict[str, Any]] = {name: {}}
                enough, token = engine.check_client_resources(job, resources, fl_ctx)[name]
                if not enough:
                    self.logger.warning("%s is back, without room for its job; tried again", name)
                    return
                for old in stale:
                    known.pop(old, None)
                known[client.token] = client
                app = next(iter(job.deploy_map))
                dispatch = {name: DispatchInfo(app, {}, token)}
                replies = engine.start_client_job(job, dispatch, fl_ctx)
                said = [reply.reply.body if reply.reply else "no answer" for reply in replies]
                self.log_info(
                    fl_ctx, f"{name} is back; its part of job {job_id} is started again: {said}"
                )
        except Exception as error:  # FLARE raises of many kinds; the next heartbeat tries again
            self.logger.error(
                "%s's part of job %s cannot be started again (%s: %s)",
                name,
                job_id,
                type(error).__name__,
                error,
            )
        finally:
            time.sleep(PAUSE)
            with self._lock:
                self._busy.discard((job_id, name))
