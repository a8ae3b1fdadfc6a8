"""Where a run keeps its things, in FLARE's words: workspace, job id, app config."""

import json
import re
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace

from fedvox.errors import ConfigError
from fedvox.files import PRIVATE, write_json
from fedvox.flare.jobs.versions import VERSIONS, differing, installed_versions, parse_versions
from fedvox.job.settings import JobSettings, read_job

SIMULATOR_JOB = "simulate_job"
RESULTS = "fedvox"
STATE = "fedvox_state"
SITE_REPORT = "site_report"
OWN_MODEL = "own_model"
"""A site's complete models, where the job keeps tensors at the sites; they never leave."""

_ID = re.compile(r"[\w-]*")


def workspace_of(fl_ctx: FLContext) -> Workspace:
    """The workspace of the running process."""
    return fl_ctx.get_engine().get_workspace()


def is_simulator(fl_ctx: FLContext) -> bool:
    """True under ``nvflare simulator``, at the server and at the sites."""
    return str(fl_ctx.get_job_id()) == SIMULATOR_JOB


def check_workspace(fl_ctx: FLContext) -> None:
    """Refuses a simulator workspace that FLARE's own command line would split into two words.

    Raises:
        ConfigError: the path holds white space.
    """
    root = workspace_of(fl_ctx).get_root_dir()
    if is_simulator(fl_ctx) and any(letter.isspace() for letter in root):
        raise ConfigError("the workspace's path holds a blank; choose another with -w")


def run_dir(fl_ctx: FLContext) -> Path:
    """The run's folder at this server or site."""
    return Path(workspace_of(fl_ctx).get_run_dir(fl_ctx.get_job_id()))


def results_dir(fl_ctx: FLContext) -> Path:
    """The server's results; they come back with ``nvflare job download``."""
    return run_dir(fl_ctx) / RESULTS


def load_job(fl_ctx: FLContext) -> JobSettings:
    """Reads ``training.json`` of the running job.

    Raises:
        ConfigError: the file is missing or wrong, or the job was exported with other versions of
            fedvox, FLARE or torch than this machine has; both are named.
    """
    config = Path(workspace_of(fl_ctx).get_app_config_dir(fl_ctx.get_job_id()))
    path = config / "training.json"
    if not path.is_file():
        raise ConfigError("the job has no app/config/training.json; export it again")
    wrong = differing(parse_versions(config / VERSIONS.name), installed_versions())
    if wrong:
        raise ConfigError(f"{'; '.join(wrong)}; install the job's versions or export it here")
    try:
        return read_job(path)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(path), "training.json")) from None


def custom_dir(fl_ctx: FLContext) -> Path:
    """The job's ``app/custom`` at this server or site; it need not exist."""
    return Path(workspace_of(fl_ctx).get_app_custom_dir(str(fl_ctx.get_job_id())))


def state_dir(fl_ctx: FLContext, root: Path | None = None, continues: str = "") -> Path:
    """The state folder of this run at this server or site.

    Args:
        fl_ctx: FLARE context.
        root: the site file's ``cache``; without it the workspace's ``fedvox_state``. Under the
            simulator the run folder is used in any case.
        continues: the job whose run this one goes on with, as ``training.continues`` says.
    """
    name = str(fl_ctx.get_identity_name()).split(".")[0]
    if is_simulator(fl_ctx):
        return run_dir(fl_ctx) / STATE / name
    folder = root or Path(workspace_of(fl_ctx).get_root_dir()) / STATE
    parent = cloned_from(fl_ctx) or continues
    return folder / run_id(folder, str(fl_ctx.get_job_id()), parent) / name


def run_id(folder: Path, job_id: str, parent: str) -> str:
    """The id under which a job's state lies: its own, or that of the job it goes on with.

    A job names only its direct parent, so each leaves a note of the run it belongs to.

    Args:
        folder: root of all runs' states.
        job_id: the running job.
        parent: the job that it was cloned from or continues, empty for a fresh submission, and
            where only its own note can tell.

    Raises:
        ConfigError: the parent is no id.
    """
    if not _ID.fullmatch(parent):
        raise ConfigError("the job names no job's id as the one that it goes on with; submit anew")
    own = folder / "clones" / f"{job_id}.json"
    if own.is_file():
        return str(json.loads(own.read_text())["run"])
    if not parent:
        return job_id
    note = folder / "clones" / f"{parent}.json"
    root = json.loads(note.read_text())["run"] if note.is_file() else parent
    write_json(own, {"run": root}, mode=PRIVATE)
    return str(root)


def cloned_from(fl_ctx: FLContext) -> str:
    """The job that this one is a clone of, empty for none."""
    return str(job_meta(fl_ctx).get("cloned_from") or "")


def job_meta(fl_ctx: FLContext) -> dict[str, Any]:
    """What FLARE's server knows of the job: who submitted it, what it is a clone of."""
    meta = fl_ctx.get_prop(FLContextKey.JOB_META)
    if isinstance(meta, dict):
        return meta
    path = Path(workspace_of(fl_ctx).get_job_meta_path(str(fl_ctx.get_job_id())))
    return dict(json.loads(path.read_text())) if path.is_file() else {}
