"""The versions that a job was exported with, and whether a machine has them."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fedvox
from fedvox.config import read_json
from fedvox.errors import ConfigError

VERSIONS = Path("app/config/versions.json")
NOT_INSTALLED = "not installed"
PACKAGES = ("fedvox", "nvflare", "torch")


def installed_versions() -> dict[str, str]:
    """Versions on this machine, without local build tags such as ``+cpu``."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name).split("+")[0] if name != "fedvox" else fedvox.__version__
        except PackageNotFoundError:
            found[name] = NOT_INSTALLED
    return found


def exported_versions(source: Path) -> dict[str, str]:
    """The pins of a job that is exported here.

    Args:
        source: the job that is exported; it names the torch of a machine that has none itself.
    """
    own = installed_versions()
    if own["torch"] == NOT_INSTALLED:
        own["torch"] = read_versions(source)["torch"]
    return own


def read_versions(job: Path) -> dict[str, str]:
    """The pins of a job folder.

    Raises:
        ConfigError: the file is missing or not of the known form.
    """
    return parse_versions(job / VERSIONS)


def parse_versions(path: Path) -> dict[str, str]:
    """Reads ``versions.json``.

    Raises:
        ConfigError: it is missing or not of the known form.
    """
    if not path.is_file():
        raise ConfigError("the job has no app/config/versions.json; export it again")
    content = read_json(path)
    if set(content) != set(PACKAGES) or not all(isinstance(v, str) for v in content.values()):
        raise ConfigError("app/config/versions.json does not name the versions; export it again")
    return {name: str(content[name]) for name in PACKAGES}


def differing(job: dict[str, str], own: dict[str, str]) -> list[str]:
    """One clause per package whose version differs, with both versions."""
    return [
        f"the job needs {name} {job[name]}, this machine has {_own(own[name])}"
        for name in PACKAGES
        if job[name] != own[name]
    ]


def _own(version: str) -> str:
    return "none" if version == NOT_INSTALLED else version
