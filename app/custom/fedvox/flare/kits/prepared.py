"""The mark that ``fedvox kit prepare`` leaves in a kit whose start scripts FLARE replaced."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedvox.errors import ConfigError
from fedvox.files import write_json

MARKER = "local/prepared.json"
K8S, SLURM = "k8s", "slurm"
REMOVED = {
    K8S: {"start.sh", "sub_start.sh", "stop_fl.sh", "docker.sh"},
    SLURM: {"start.sh", "stop_fl.sh", "docker.sh"},
}
"""Start scripts that ``nvflare deploy prepare`` takes out of ``startup/``."""
ADDED = {K8S: set[str](), SLURM: {"start_slurm.sh", "parent.slurm"}}
"""Start scripts that it puts there."""


@dataclass(frozen=True)
class Prepared:
    """How a kit was prepared.

    Attributes:
        runtime: ``k8s`` or ``slurm``.
        scripts: path in the kit -> SHA-256 of the start scripts that were added.
    """

    runtime: str
    scripts: Mapping[str, str]

    def expected(self, provisioned: Mapping[str, str]) -> dict[str, str]:
        """What the signed manifest lists, less the removed scripts, with the added ones."""
        removed = {f"startup/{name}" for name in REMOVED[self.runtime]}
        kept = {name: digest for name, digest in provisioned.items() if name not in removed}
        return {**self.scripts, **kept}

    def visible(self, present: Mapping[str, str]) -> dict[str, str]:
        """The files, without those in which Kubernetes keeps a mounted Secret's versions.

        A Secret's files are links into ``..data``, which is a link to ``..<time>``.
        """
        if self.runtime != K8S:
            return dict(present)
        return {
            name: d
            for name, d in present.items()
            if not name.startswith(("startup/..", "local/.."))
        }

    def write(self, kit: Path) -> None:
        """Leaves the mark in a kit."""
        write_json(kit / MARKER, {"runtime": self.runtime, "scripts": dict(self.scripts)})


def read_marker(kit: Path) -> Prepared | None:
    """How the kit was prepared; None for a kit as provisioned.

    Raises:
        ConfigError: the mark names a runtime or a script that ``fedvox kit prepare`` never writes.
    """
    path = kit / MARKER
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Prepared(str(content["runtime"]), dict(content["scripts"]))
        known = {f"startup/{name}" for name in ADDED[found.runtime]}
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigError(f"{MARKER} is damaged; run 'fedvox kit prepare' again") from None
    unknown = sorted(set(found.scripts) - known)
    if unknown:
        raise ConfigError(
            f"{MARKER} names {unknown[0]}, which 'fedvox kit prepare' never adds; "
            "unpack the kit afresh and prepare it again"
        )
    return found
