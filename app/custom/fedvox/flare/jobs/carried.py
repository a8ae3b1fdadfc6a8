"""Code that a job carries, compared with the package that this machine runs."""

import difflib
import shutil
from pathlib import Path

import fedvox
from fedvox.errors import ConfigError
from fedvox.manifest import MANIFEST, differences, digests, write_manifest
from fedvox.resources import BUILTIN

CARRIED = Path("app/custom/fedvox")
VERSION_PIN = "fedvox_version.txt"
SIGNATURES = (".__nvfl_sig.json", ".__nvfl_submitter.crt")
"""FLARE signs each folder of a submitted job with two files of its own."""


def add_code(job: Path, code: str) -> None:
    """Puts into a job's folder what its way of carrying code needs.

    Args:
        job: the job's folder, complete but for its code.
        code: ``preinstalled``, ``carried`` or ``pinned``.
    """
    custom = job / CARRIED.parent
    if code == "preinstalled":
        return
    custom.mkdir(parents=True)
    (custom / VERSION_PIN).write_text(f"{fedvox.__version__}\n", encoding="utf-8")
    if code == "carried":
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", BUILTIN)
        shutil.copytree(installed_package(), custom / CARRIED.name, ignore=ignored)
        write_manifest(job, custom / MANIFEST)


def installed_package() -> Path:
    """Folder of the running package."""
    return Path(fedvox.__file__).parent


def code_differences(carried: Path, installed: Path) -> list[str]:
    """One line per source file that differs: changed, added (only in the job) or missing there."""
    own, theirs = digests(installed), digests(carried, caches=True)
    own = {name: digest for name, digest in own.items() if not name.startswith(f"{BUILTIN}/")}
    theirs = {name: digest for name, digest in theirs.items() if not _is_signature(name)}
    lines = [f"{name}: missing" for name in own if name not in theirs]
    lines += [f"{name}: added" for name in theirs if name not in own]
    lines += [f"{n}: changed" for n in own if n in theirs and own[n] != theirs[n]]
    return sorted(lines)


def stray_files(custom: Path) -> list[str]:
    """Files and links of ``app/custom`` that no export of ours writes; Python would find them."""
    lines = []
    for path in sorted(custom.rglob("*")):
        name = path.relative_to(custom).as_posix()
        ours = name.startswith("fedvox/") or name in (MANIFEST, VERSION_PIN)
        plain = path.is_dir() or (path.is_file() and (ours or _is_signature(name)))
        if path.is_symlink() or not plain:
            lines.append(f"{name}: beside the package")
    return lines


def check_carried(custom: Path) -> None:
    """Refuses to run a job whose carried code is not the code that runs.

    A package that is installed comes before one that is carried, so a site that has both would
    silently run its own.

    Args:
        custom: the job's ``app/custom`` at this site.

    Raises:
        ConfigError: the carried package differs from the running one, or other files lie beside it.
    """
    carried, running = custom / "fedvox", installed_package()
    stray = stray_files(custom)
    if stray:
        raise ConfigError(f"the job carries files of no fedvox export: {stray[0]}; export it again")
    if not carried.is_dir() or carried.resolve() == running.resolve():
        return
    found = code_differences(carried, running)
    if found:
        raise ConfigError(
            f"the job carries another fedvox than the one installed here, which would run instead "
            f"({len(found)} files differ, the first is {found[0]}); install the job's version or "
            "ask for a job without code"
        )


def carries_code(job: Path) -> bool:
    """Does the job bring a package of its own?"""
    return (job / CARRIED).is_dir()


def review(job: Path, installed: Path | None = None) -> tuple[list[str], list[str]]:
    """What a site wants to know before it approves a job that carries code.

    Args:
        job: the job's folder.
        installed: the reviewed package to compare with, default the running one.

    Returns:
        Files that differ from the job's own manifest, and source files that differ from the
        reviewed package.

    Raises:
        ConfigError: the job or the reviewed package is none, or the carried code has no manifest.
    """
    if not job.is_dir():
        raise ConfigError(f"{job}: no job folder; name the folder that 'fedvox job export' wrote")
    if installed and not (installed / "__init__.py").is_file():
        raise ConfigError(
            f"--against {installed}: no fedvox package; name the folder 'fedvox' that holds "
            "__init__.py"
        )
    if not carries_code(job):
        return [], stray_files(job / CARRIED.parent)
    sealed = differences(job, job / CARRIED.parent / MANIFEST)
    sealed = [line for line in sealed if not _is_signature(line.rpartition(": ")[0])]
    code = code_differences(job / CARRIED, installed or installed_package())
    return sealed, [*code, *stray_files(job / CARRIED.parent)]


def unified(job: Path, lines: list[str], installed: Path | None = None) -> str:
    """The differing source files line by line, reviewed package first."""
    base = installed or installed_package()
    text: list[str] = []
    for line in lines:
        name = line.rpartition(":")[0]
        text += difflib.unified_diff(
            _lines(base / name), _lines(job / CARRIED / name), f"reviewed/{name}", f"job/{name}"
        )
    return "".join(text)


def _is_signature(name: str) -> bool:
    return name.rpartition("/")[2] in SIGNATURES


def _lines(path: Path) -> list[str]:
    """Lines of a file, each with its end, the last one too; none of a file that is not there."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [f"{line}\n" for line in text.split("\n")]
