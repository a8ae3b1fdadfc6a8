"""What FedVox brings beside its code: jobs, policies, runtimes and a project file.

In a checkout they lie at its top level. In an installed wheel, which ``setup.py`` builds, copies of
them lie in the package's folder ``builtin``. They are data and never carried with a job.
"""

import shutil
import tempfile
from pathlib import Path

import fedvox
from fedvox.errors import ConfigError

BUILTIN = "builtin"
"""Their folder in an installed package."""
JOBS = "jobs"
POLICIES = "provisioning/policies"
RUNTIMES = "provisioning/runtimes"
TEMPLATES = ("provisioning/project.yml", POLICIES, RUNTIMES)
"""What an operator or a site copies and changes."""


def builtin(name: str) -> Path:
    """Where a resource lies.

    Args:
        name: its path in the repository, as ``jobs`` or ``provisioning/policies``.

    Raises:
        ConfigError: this copy of the package came without resources, as in a job that carries it.
    """
    package = Path(fedvox.__file__).resolve().parent
    places = [package / BUILTIN / name]
    if len(package.parents) > 2 and (package.parents[2] / "pyproject.toml").is_file():
        places.append(package.parents[2] / name)
    for place in places:
        if place.exists():
            return place
    raise ConfigError(
        f"this copy of fedvox has no {name}; install the wheel or work in a checkout of the "
        "repository"
    )


def write_templates(out: Path) -> list[Path]:
    """Copies :data:`TEMPLATES` below a folder, whole or not at all.

    Args:
        out: ``provisioning/`` appears in it.

    Returns:
        What was written.

    Raises:
        ConfigError: something of that name exists there.
    """
    folder = Path(TEMPLATES[0]).parent
    target = out / folder
    if target.exists() or target.is_symlink():
        raise ConfigError(f"--out {out}: it has a folder {folder} already; choose another folder")
    sources = {name: builtin(name) for name in TEMPLATES}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as staging:
        for name, source in sources.items():
            place = Path(staging) / name
            place.parent.mkdir(exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, place)
        (Path(staging) / folder).rename(target)
    return [out / name for name in TEMPLATES]
