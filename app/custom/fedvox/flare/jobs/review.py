"""What a received job would do beside the package that it carries: other files, apps, classes."""

import os
import stat
from pathlib import Path
from typing import Any

from nvflare.private.fed.utils.app_authz import AppAuthzService

from fedvox.config import read_json
from fedvox.errors import ConfigError
from fedvox.flare.jobs.carried import SIGNATURES
from fedvox.flare.jobs.classes import foreign_classes

META = "meta.json"
DEPLOY_MAP = {"app": ["@ALL"]}
_CONFIG = "app/config"
_FOLDERS = ("app", _CONFIG, "app/custom")
_CODE = "app/custom/"
SIDES = {side: f"{_CONFIG}/config_fed_{side}.json" for side in ("client", "server")}
_FILES = (
    META,
    "README.md",
    *SIDES.values(),
    f"{_CONFIG}/training.json",
    f"{_CONFIG}/versions.json",
    f"{_CONFIG}/plan.json",
)


def job_problems(job: Path) -> list[str]:
    """One line per thing that no export of ours has; empty when the job is one of ours.

    Files in ``app/custom`` are looked at by :func:`fedvox.flare.jobs.carried.review`.

    Args:
        job: the job's folder.

    Raises:
        ConfigError: a configuration file cannot be read.
    """
    return [*_foreign_files(job), *meta_problems(job), *configuration_problems(job)]


def meta_problems(job: Path) -> list[str]:
    """Apps beside ``app``, sites left out, and programs of the job's choice in ``meta.json``."""
    meta = read_json(job / META)
    lines = []
    if meta.get("deploy_map") != DEPLOY_MAP:
        lines.append(f"{META}: deploy_map is not {DEPLOY_MAP}")
    named = {""}
    for key in ("launcher_spec", "resource_spec"):
        spec = meta.get(key) or {}
        if not isinstance(spec, dict) or not all(isinstance(own, dict) for own in spec.values()):
            return [*lines, f"{META}: {key} is not one of FLARE's"]
        named |= set(spec)
    if any(starts_own_program(meta, name) for name in named):
        lines.append(f"{META}: chooses an image or a Python of its own (launcher_spec)")
    return lines


def starts_own_program(meta: dict[str, Any], site: str) -> bool:
    """Does FLARE count the job as one with code at a site for how it would be started there?"""
    try:
        return bool(AppAuthzService.derive_local_app_info({}, meta, site))
    except (AttributeError, TypeError):
        raise ConfigError(f"{META}: launcher_spec is not one of FLARE's; refuse the job") from None


def configuration_problems(job: Path) -> list[str]:
    """Classes, functions and short names that no FedVox job names; FLARE would call them."""
    return [
        f"{name}: {text}"
        for side, name in SIDES.items()
        for text in foreign_classes(read_json(job / name), side)
    ]


def _foreign_files(job: Path) -> list[str]:
    lines = []
    for folder, folders, files in os.walk(job, onerror=_refuse):
        for path in (Path(folder) / name for name in (*folders, *files)):
            name = path.relative_to(job).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                lines += [] if name.startswith(_CODE) else [f"{name}: a link"]
            elif not name.startswith(_CODE) and not _known(name, stat.S_ISDIR(mode)):
                lines.append(f"{name}: in no export")
        folders[:] = [name for name in folders if (Path(folder) / name) != job / "app/custom"]
    return sorted(lines)


def _refuse(error: OSError) -> None:
    raise error


def _known(name: str, is_folder: bool) -> bool:
    if is_folder:
        return name in _FOLDERS
    folder, _, file = name.rpartition("/")
    return name in _FILES or (file in SIGNATURES and folder in ("", *_FOLDERS))
