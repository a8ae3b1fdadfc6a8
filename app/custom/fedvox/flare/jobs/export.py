"""Exports a job in the form that a federation's sites accept."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.errors import ConfigError
from fedvox.files import write_json, write_readable_json
from fedvox.flare.jobs.carried import add_code
from fedvox.flare.jobs.folder import PLAN, TRAINING
from fedvox.flare.jobs.needed_filters import require_filters
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.flare.jobs.readme import write_readme
from fedvox.flare.jobs.versions import VERSIONS, exported_versions
from fedvox.job.settings import JobSettings, job_from

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def export_job(
    source: Path,
    out: Path,
    code: str = "preinstalled",
    overrides: Sequence[str] = (),
    name: str | None = None,
    *,
    plan: Path | None = None,
) -> Path:
    """Writes a job folder for submission.

    Args:
        source: a job folder.
        out: folder in which ``<name>/`` appears, whole or not at all.
        code: ``preinstalled`` (configuration only), ``carried`` (real copies of the package under
            ``app/custom`` and a SHA-256 manifest), or ``pinned`` (as in the repository: one small
            version file, for the bare simulator).
        overrides: changes to ``training.json``, as ``key.path=value``.
        name: name of the exported job, default that of the source.
        plan: ``plan.json`` of a plan run; its values come before the overrides.

    Raises:
        ConfigError: the target exists, the name cannot be one, a number or an override is wrong,
            the plan is for another job, ``training.personal`` does not fit the network, or the
            job lacks a filter that its settings need.
    """
    name = source.name if name is None else name
    _check(name)
    target = out / name
    if target.exists():
        raise ConfigError(f"{target} exists already; remove it or choose another --out")
    settings = _settings(source, name, overrides, plan)
    require_filters(source, job_from(settings))
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=out, prefix=".writing-"))
    try:
        job = staging / name
        _write(job, source, settings, plan)
        write_readme(job, source, code)
        add_code(job, code)
        job.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name '{name}': use 1 to 64 letters, digits, '_' and '-', without blanks or dots"
        )


def _settings(
    source: Path, name: str, overrides: Sequence[str], plan: Path | None
) -> dict[str, Any]:
    """The source's ``training.json`` with the plan's values and then the overrides."""
    settings = {**read_json(source / TRAINING), "name": name}
    if plan is not None:
        from fedvox.flare.jobs.with_plan import with_plan  # needs PyTorch, other exports do not

        planned = job_from(apply_overrides(settings, overrides))
        settings = with_plan(settings, plan, planned)
    result = apply_overrides(settings, overrides)
    _check_personal(job_from(result))
    return result


def _check_personal(job: JobSettings) -> None:
    """Which tensors stay at the sites only the network tells; other jobs need no PyTorch here."""
    if job.training.personal:
        from fedvox.job.model import job_parts

        job_parts(job)


def _write(job: Path, source: Path, settings: dict[str, Any], plan: Path | None) -> None:
    """The source's files without its code, under the new name and with the new settings."""
    shutil.copytree(source, job, ignore=shutil.ignore_patterns("custom", "__pycache__"))
    sites = job_from(settings).waiting.sites
    meta = {**read_json(source / "meta.json"), "name": settings["name"], "min_clients": sites}
    write_json(job / "meta.json", meta)
    write_readable_json(job / TRAINING, settings)
    write_json(job / VERSIONS, exported_versions(source))
    if plan is not None:
        shutil.copyfile(plan, job / PLAN)
