"""Launchers of a job's processes that start them again when a signal ended them.

A kill, the out-of-memory killer or a crash in a library ends a process by a signal; FLARE would end
the whole job for all sites. A process that ends by itself, with an error or without, stays ended.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey, JobConstants
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobHandleSpec
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher
from nvflare.app_common.job_launcher.process_launcher import ProcessJobLauncher
from nvflare.app_common.job_launcher.server_process_launcher import ServerProcessJobLauncher
from nvflare.utils.job_launcher_utils import add_custom_dir_to_path, get_credential_env
from nvflare.utils.process_utils import ProcessAdapter, spawn_process

from fedvox.flare.restarts.handle import RestartingHandle
from fedvox.flare.restarts.start import read_progress


class _Restarting(ProcessJobLauncher):
    """Starts processes as FLARE's launcher does, under a handle that starts them again."""

    outlast = True

    def launch_job(self, job_meta: dict[str, Any], fl_ctx: FLContext) -> JobHandleSpec:
        """Starts the job's process.

        Args:
            job_meta: FLARE's description of the job.
            fl_ctx: FLARE's context.
        """
        environment = os.environ.copy()
        workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
        job_id = job_meta.get(JobConstants.JOB_ID)
        custom = workspace.get_app_custom_dir(job_id)
        if custom:
            add_custom_dir_to_path(custom, environment)
        arguments = fl_ctx.get_prop(FLContextKey.JOB_PROCESS_ARGS) or {}
        environment.update(get_credential_env(arguments))
        command = shlex.split(self.get_command(job_meta, fl_ctx), True)
        run_dir = Path(workspace.get_run_dir(job_id))

        def spawn(changes: Mapping[str, str]) -> ProcessAdapter:
            return spawn_process(command, {**environment, **changes})

        return RestartingHandle(
            spawn, lambda: read_progress(run_dir), type(self).outlast, self.logger
        )


class RestartingClientLauncher(_Restarting, ClientProcessJobLauncher):
    """At a site: after the last try in a row the job goes on without it."""


class RestartingServerLauncher(_Restarting, ServerProcessJobLauncher):
    """At the server: after the last try in a row the job has failed."""

    outlast = False
