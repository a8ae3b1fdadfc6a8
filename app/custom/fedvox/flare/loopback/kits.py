"""Builds start-up kits for a federation on this machine."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.data.site.site_names import check_site_names
from fedvox.errors import ConfigError
from fedvox.files import write_text

KEY_BUILDER = "fedvox.flare.encryption_keys.EncryptionKeys"
"""Writes keys of homomorphic encryption into kits; needs TenSEAL where kits are made."""


@dataclass(frozen=True)
class Kits:
    """Start-up kits of one project.

    Attributes:
        folder: ``prod_NN``, with one kit per participant.
        project: the project file's content.
    """

    folder: Path
    project: Mapping[str, Any]

    def names(self, kind: str, role: str | None = None) -> list[str]:
        """Participants of a type (``server``, ``client``, ``admin``) and, for people, a role."""
        return [
            str(entry["name"])
            for entry in self.project["participants"]
            if entry["type"] == kind and role in (None, entry.get("role"))
        ]

    def kit(self, name: str) -> Path:
        """The kit of a participant."""
        return self.folder / name

    def person(self, role: str) -> str:
        """The first person of a role.

        Raises:
            ConfigError: the project has none.
        """
        found = self.names("admin", role)
        if not found:
            raise ConfigError(f"the project file has no person with role {role}; add one to it")
        return found[0]

    @property
    def server(self) -> str:
        """The server's name."""
        return self.names("server")[0]

    @property
    def port(self) -> int:
        """The port on which the server takes sites and people."""
        entry = next(e for e in self.project["participants"] if e["type"] == "server")
        return int(entry["fed_learn_port"])


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for entry in sockets:
        entry.bind(("127.0.0.1", 0))
    ports = [int(entry.getsockname()[1]) for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


def read_project(path: Path) -> dict[str, Any]:
    """Reads a project file.

    Raises:
        ConfigError: it is missing, no YAML, or not of the form of ``provisioning/project.yml``.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise ConfigError(f"{path}: missing or no YAML; give a project file") from None
    if not isinstance(content, dict) or not isinstance(content.get("participants"), list):
        raise ConfigError(f"{path}: no participants; start from provisioning/project.yml")
    start = "start from provisioning/project.yml"
    if not isinstance(content.get("name"), str):
        raise ConfigError(f"{path}: the project has no name; {start}")
    for number, entry in enumerate(content["participants"], start=1):
        if not isinstance(entry, dict) or not {"name", "type"} <= entry.keys():
            raise ConfigError(f"{path}: participant {number} has no name and type; {start}")
    if [entry["type"] for entry in content["participants"]].count("server") != 1:
        raise ConfigError(f"{path}: participants must hold one server; {start}")
    sites = [str(e["name"]) for e in content["participants"] if e["type"] == "client"]
    others = [str(e["name"]) for e in content["participants"] if e["type"] != "client"]
    try:
        check_site_names(sites, others)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return content


def with_ports(project: Mapping[str, Any], learn: int, admin: int) -> dict[str, Any]:
    """The same project with other ports of its server."""
    ports = {"fed_learn_port": learn, "admin_port": admin}
    participants = [
        {**entry, **ports} if entry["type"] == "server" else entry
        for entry in project["participants"]
    ]
    return {**project, "participants": participants}


def with_encryption_keys(project: Mapping[str, Any]) -> dict[str, Any]:
    """The same project with keys in its kits by which sites hide updates from the server."""
    builders = [*project["builders"]]
    signs = next(i for i, b in enumerate(builders) if b["path"].endswith(".SignatureBuilder"))
    builders.insert(signs, {"path": KEY_BUILDER, "args": {}})
    return {**project, "builders": builders}


def latest_kits(project: Mapping[str, Any], folder: Path) -> Kits:
    """The newest kits of a project in a provisioning folder.

    Raises:
        ConfigError: there are none, or a participant of the project has none among them.
    """
    found = (folder / str(project["name"])).glob("prod_*")
    made = [path for path in found if re.fullmatch(r"prod_[0-9]+", path.name)]
    if not made:
        raise ConfigError(f"{folder}: no kits of project {project['name']}; run make provision")
    newest = max(made, key=lambda path: int(path.name.removeprefix("prod_")))
    named = [str(entry["name"]) for entry in project["participants"]]
    missing = [name for name in named if not (newest / name).is_dir()]
    if missing:
        raise ConfigError(
            f"{newest}: no kit of {', '.join(missing)}, which the project file names; build the "
            "kits again with make provision"
        )
    return Kits(newest.resolve(), project)


def copy_kits(kits: Kits, target: Path) -> Kits:
    """Copies kits to a folder in which they may run; the originals stay as they were built."""
    shutil.copytree(kits.folder, target)
    return Kits(target.resolve(), kits.project)


def require_free_ports(project: Mapping[str, Any]) -> None:
    """Refuses to start a server whose ports are taken.

    Raises:
        ConfigError: names the port that is taken, or the key that holds none.
    """
    server = next(entry for entry in project["participants"] if entry["type"] == "server")
    for key in ("fed_learn_port", "admin_port"):
        if not isinstance(server.get(key), int) or not 0 < server[key] < 65536:
            raise ConfigError(f"the project file's server has no {key} from 1 to 65535; write one")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(server[key])))
            except OSError:
                raise ConfigError(
                    f"port {server[key]} ({key}) is in use on this machine; if another run of "
                    "these kits goes on here, wait for its end or stop it; if another program has "
                    "the port, write another one into the project file and build the kits again"
                ) from None


def provision(project: Mapping[str, Any], work: Path, command: str = "provision") -> Kits:
    """Builds the kits of a project with ``nvflare provision`` or ``nvflare poc prepare``.

    Args:
        project: the project file's content.
        work: folder for the project file and the kits; kits of an earlier call are kept, and so
            are root CA and certificates.
        command: ``provision`` or ``poc``.

    Raises:
        ConfigError: the command failed; says why.
    """
    import yaml

    work = work.resolve()  # FLARE writes some of these paths into the kits
    work.mkdir(parents=True, exist_ok=True)
    path = work / "project.yml"
    write_text(path, yaml.safe_dump(dict(project), sort_keys=False))
    tool = [sys.executable, "-m", "nvflare.cli"]
    environment = None
    if command == "poc":
        # FLARE notes the workspace in the user's home; a dry run leaves the home alone.
        home = work / "home"
        home.mkdir(exist_ok=True)
        kits = work / "poc"
        environment = flare_environment({"HOME": str(home), "NVFLARE_POC_WORKSPACE": str(kits)})
        tool += ["poc", "prepare", "-i", str(path), "--force"]
    else:
        kits = work
        tool += ["provision", "-p", str(path), "-w", str(kits), "--force"]
    done = subprocess.run(tool, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"building the kits failed: {_reason(done.stdout + done.stderr)}")
    return latest_kits(project, kits)


def _reason(output: str) -> str:
    """The line in which FLARE says why; hints and an error code may follow it."""
    lines = [line.strip() for line in output.splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Hint:", "Code:"))]
    return telling[-1].rpartition(" — ")[2] if telling else "no output"


def flare_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with changes, and with this Python first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, **changes}
