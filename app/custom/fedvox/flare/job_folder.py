"""Job folders: find, describe, and export in the form that a federation's sites accept."""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json, to_mapping
from fedvox.errors import ConfigError
from fedvox.files import write_json, write_readable_json
from fedvox.flare.carried import add_code
from fedvox.flare.classes import class_names
from fedvox.flare.job_readme import write_readme
from fedvox.flare.versions import VERSIONS, exported_versions
from fedvox.resources import JOBS, builtin
from fedvox.suggest import closest
from fedvox.training.settings import JobSettings, job_from, read_job

TRAINING = Path("app/config/training.json")
PLAN = Path("app/config/plan.json")
SERVER = Path("app/config/config_fed_server.json")
CUSTOM = Path("app/custom")
PLANNER = "fedvox.flare.plan_server.FedVoxStatistics"
WAITING = ("min_clients", "wait_time_after_min_received", "train_timeout", "timeout")
"""Keys of FLARE's own files, not of ``training.json``."""
MOST_SITES = 10_000
_MIN_CLIENTS = re.compile(r'("min_clients"\s*:\s*)\d+')
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def built_in_jobs() -> Path | None:
    """The folder of the project's own jobs; None for a copy of the package without them."""
    try:
        return builtin(JOBS)
    except ConfigError:
        return None


def jobs_folder(given: Path | None = None) -> list[Path]:
    """Where job definitions lie: ``given``, else ``./jobs`` and then the built-in ones.

    Raises:
        ConfigError: none of these exists.
    """
    candidates = [given] if given else [Path("jobs"), built_in_jobs()]
    found = [folder for folder in candidates if folder and folder.is_dir()]
    if len(found) == 2 and found[0].samefile(found[1]):  # in the checkout
        found = found[:1]
    if found:
        return found
    raise ConfigError(f"{candidates[0]}: no folder of jobs; run in the checkout or give --jobs DIR")


def known_jobs(given: Path | None = None) -> dict[str, Path]:
    """Name -> folder of every job; of two with one name that of the earlier folder.

    Args:
        given: as for :func:`jobs_folder`.

    Raises:
        ConfigError: there is no job.
    """
    folders = jobs_folder(given)
    known = {name: folder / name for folder in reversed(folders) for name in list_jobs(folder)}
    if not known:
        places = " and ".join(map(str, folders))
        raise ConfigError(f"{places}: it holds no jobs; name a folder of job folders with --jobs")
    return known


def list_jobs(folder: Path) -> list[str]:
    """Names of the jobs in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir() if (path / TRAINING).is_file())


def plans_only(folder: Path) -> bool:
    """Does a job make a plan and train nothing?"""
    return PLANNER in class_names(read_json(folder / SERVER))


def find_job(name: str, given: Path | None = None) -> Path:
    """The folder of a named job.

    Args:
        name: of the job, or the path of its folder.
        given: as for :func:`jobs_folder`.

    Raises:
        ConfigError: unknown name; says where it was looked for and lists the known ones.
    """
    if "/" in name and Path(name).exists():
        require_job(Path(name))
        return Path(name)
    known = known_jobs(given)
    if name in known:
        return known[name]
    places = " and ".join(map(str, jobs_folder(given)))
    likely = closest(name.rstrip("/").rpartition("/")[2], known)
    remedy = f"did you mean {likely}? " if likely else ""
    raise ConfigError(
        f"no job '{name}' in {places}; {remedy}choose one of: {', '.join(sorted(known))}"
    )


def hidden_job(name: str, given: Path | None = None) -> Path | None:
    """The built-in job that one of ``./jobs`` of the same name comes before, if there is one."""
    jobs = built_in_jobs()
    built_in = jobs / name if jobs else None
    if given or "/" in name or built_in is None or not (built_in / TRAINING).is_file():
        return None
    return None if known_jobs()[name].samefile(built_in) else built_in


def require_job(folder: Path) -> None:
    """Refuses a folder that is no job.

    Raises:
        ConfigError: says what was probably meant.
    """
    if folder.is_file():
        raise ConfigError(f"{folder}: it is a file; name an exported job's folder")
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name an exported job's folder")
    if (folder / TRAINING).is_file():
        return
    inside = [str(folder / name) for name in list_jobs(folder)]
    if inside:
        raise ConfigError(f"{folder} is no job but holds {len(inside)}; name {' or '.join(inside)}")
    raise ConfigError(f"{folder}: no job, since it lacks {TRAINING}; name an exported job's folder")


def job_settings(folder: Path) -> JobSettings:
    """Settings of a job folder."""
    return read_job(folder / TRAINING)


def apply_overrides(mapping: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Applies ``key.path=value`` changes to a parsed ``training.json``.

    Args:
        mapping: left as it is.
        overrides: values are read as JSON; what is no JSON is a text. A list may be written
            without brackets and quotes, ``data.organs=liver,spleen``, and a list of one element
            as that element, ``data.organs=liver``.

    Raises:
        ConfigError: no ``=``, an unknown key or a value out of range; names the override.
    """
    for override in overrides:
        if override.partition("=")[0].strip() in WAITING:
            raise ConfigError(
                f"--set {override}: use --min-clients"
                if override.startswith("min_clients")
                else f"--set {override}: it stands in {SERVER} of the exported job, not in "
                "training.json; change it there, see docs/lead.md"
            )
    result = _changed(mapping, overrides)
    problem = _problem(result)
    if not problem:
        return result
    # An override is to blame if the job without it has no problem or another one.
    blamed = [
        override
        for index, override in enumerate(overrides)
        if _problem_of(mapping, [*overrides[:index], *overrides[index + 1 :]]) != problem
    ]
    where = ", ".join(f"--set {override}" for override in blamed or overrides)
    raise ConfigError(f"{where or TRAINING.name}: {problem}")


def _changed(mapping: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(mapping))
    defaults = _with_defaults(mapping)
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator or not path:
            raise ConfigError(f"--set {override}: write it as key.path=value")
        if path == "name":
            raise ConfigError(f"--set {override}: the job's name is not set so; use --name")
        *parents, last = path.split(".")
        if not parents:
            _refuse_section(override, last, defaults)
        target, known = result, defaults
        for part in parents:
            target, known = target.setdefault(part, {}), _section(known, part)
            if not isinstance(target, dict):
                raise ConfigError(f"--set {override}: '{part}' holds a value, not a section")
        value = _value(text)
        is_list = isinstance(target.get(last, known.get(last)), list)
        target[last] = [value] if is_list and not isinstance(value, list | dict) else value
    return result


def _refuse_section(override: str, key: str, defaults: dict[str, Any]) -> None:
    """An override without a dot names a whole section, or forgot it."""
    section = defaults.get(key)
    if isinstance(section, dict):
        raise ConfigError(f"--set {override}: name a key of the section, as {key}.{min(section)}")
    for name, section in defaults.items():
        if isinstance(section, dict) and key in section:
            raise ConfigError(f"--set {override}: write it as {name}.{override}")


def _with_defaults(mapping: dict[str, Any]) -> dict[str, Any]:
    """All settings of a job, to see which of them are lists; of a wrong job those that it has."""
    try:
        return to_mapping(job_from(mapping))
    except ConfigError:
        return mapping


def _section(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    section = mapping.get(key)
    return section if isinstance(section, dict) else {}


def _problem(mapping: dict[str, Any]) -> str:
    """What is wrong with a job's settings; empty when nothing is."""
    try:
        job_from(mapping, "job")
    except ConfigError as error:
        return str(error).removeprefix("job: ")
    return ""


def _problem_of(mapping: dict[str, Any], overrides: Sequence[str]) -> str:
    try:
        return _problem(_changed(mapping, overrides))
    except ConfigError as error:
        return str(error)


def export_job(
    source: Path,
    out: Path,
    code: str = "preinstalled",
    overrides: Sequence[str] = (),
    name: str | None = None,
    *,
    min_clients: int | None = None,
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
        min_clients: sites without which the job does not start or go on, default the source's.
        plan: ``plan.json`` of a plan run; its values come before the overrides.

    Raises:
        ConfigError: the target exists, the name cannot be one, a number or an override is wrong, or
            the plan is for another job.
    """
    name = source.name if name is None else name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name '{name}': use 1 to 64 letters, digits, '_' and '-', without blanks or dots"
        )
    if min_clients is not None and not 1 <= min_clients <= MOST_SITES:
        raise ConfigError(f"--min-clients {min_clients}: a job needs 1 to {MOST_SITES} sites")
    target = out / name
    if target.exists():
        raise ConfigError(f"{target} exists already; remove it or choose another --out")
    settings = read_json(source / TRAINING)
    settings = {**settings, "name": name}
    if plan is not None:
        from fedvox.flare.job_plan import with_plan  # needs PyTorch, other exports do not

        planned = job_from(apply_overrides(settings, overrides))
        settings = with_plan(settings, plan, planned)
    settings = apply_overrides(settings, overrides)
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=out, prefix=".writing-"))
    try:
        ignored = shutil.ignore_patterns("custom", "__pycache__")
        shutil.copytree(source, staging / name, ignore=ignored)
        write_json(staging / name / "meta.json", {**read_json(source / "meta.json"), "name": name})
        write_readable_json(staging / name / TRAINING, settings)
        write_json(staging / name / VERSIONS, exported_versions(source))
        if plan is not None:
            shutil.copyfile(plan, staging / name / PLAN)
        if min_clients is not None:
            _set_min_clients(staging / name, min_clients)
        write_readme(staging / name, source, code, min_clients)
        add_code(staging / name, code)
        (staging / name).replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _set_min_clients(job: Path, count: int) -> None:
    """Says it where FLARE's scheduler reads it, and where the training workflow does."""
    meta = job / "meta.json"
    write_json(meta, {**read_json(meta), "min_clients": count})
    server = job / SERVER
    text, changed = _MIN_CLIENTS.subn(rf"\g<1>{count}", server.read_text(encoding="utf-8"))
    if not changed:
        raise ConfigError(f"--min-clients {count}: {SERVER} of the source does not say min_clients")
    server.write_text(text, encoding="utf-8")


def _value(text: str) -> Any:
    text = text.strip()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [_value(part) for part in text.split(",")] if "," in text else text
