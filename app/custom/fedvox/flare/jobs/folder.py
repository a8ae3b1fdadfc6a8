"""Job folders: find and read them."""

from pathlib import Path

from fedvox.config import read_json
from fedvox.errors import ConfigError
from fedvox.flare.jobs.classes import class_names
from fedvox.job.settings import JobSettings, read_job
from fedvox.resources import JOBS, builtin
from fedvox.suggest import closest

TRAINING = Path("app/config/training.json")
PLAN = Path("app/config/plan.json")
SERVER = Path("app/config/config_fed_server.json")
CLIENT = Path("app/config/config_fed_client.json")
CUSTOM = Path("app/custom")
PLANNER = "fedvox.flare.plan_server.FedVoxStatistics"


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
