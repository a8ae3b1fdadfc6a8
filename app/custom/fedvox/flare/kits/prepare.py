"""Prepares a kit for a cluster with ``nvflare deploy prepare`` and keeps the site's policy.

FLARE's command deletes ``local/resources.json``, and with it the allow-list, the kit's guard and
the switch for log streaming. Here FLARE works on a copy whose default already is the kit's policy;
afterwards only the components that start jobs differ from it.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.data.site.quarantine import QUARANTINE
from fedvox.data.site.site_key import KEY
from fedvox.errors import ConfigError
from fedvox.files import write_json
from fedvox.flare.kit_guard import SIGNATURE, check_kit, provisioned_local
from fedvox.flare.kits.cluster import (
    POD_SECURITY,
    RUNTIME_FILE,
    harden_chart,
    study_runtime,
    write_study_runtime,
)
from fedvox.flare.kits.prepared import ADDED, K8S, MARKER, SLURM, Prepared, read_marker
from fedvox.manifest import MANIFEST, digests
from fedvox.resources import POLICIES, RUNTIMES, builtin

RESOURCES = "local/resources.json"
DEFAULT = f"{RESOURCES}.default"
WORKSPACE = "/var/tmp/nvflare/workspace"
PARENT_PORT = 8102
_EXCHANGED = {"resource_manager", "resource_consumer", "process_launcher"}
_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
"""A part between dots of a claim's name, which is a DNS-1123 subdomain of 253 letters at most."""
_KEPT = ("privacy.json", "authorization.json", "log_config.json")


@dataclass(frozen=True)
class Request:
    """What to prepare.

    Attributes:
        kit: kit as provisioned.
        config: FLARE's YAML file for ``deploy prepare``.
        out: folder of the prepared kit, which must not exist.
        data: claim (Kubernetes) or folder (Slurm) of the images.
        cache: claim or folder that jobs may write.
    """

    kit: Path
    config: Path
    out: Path
    data: str
    cache: str


def prepare_kit(request: Request) -> Prepared:
    """Writes the prepared kit; on failure nothing is left in its place.

    Raises:
        ConfigError: the kit is not as provisioned, the configuration is refused by FLARE or here,
            or the result would not keep the kit's policy.
    """
    kit, out = request.kit.resolve(), request.out.resolve()
    settings = read_config(request.config)
    runtime = str(settings["runtime"])
    kind = _check_kit(kit)
    _check_places(request, kit, out)
    if runtime == SLURM and kind == "client":
        _check_folders(request)
    if runtime == K8S:
        _check_claims(request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".preparing-") as name:
        clean, work = Path(name) / kit.name, Path(name) / "prepared"
        _copy_clean(kit, clean)
        _components(_read(kit / RESOURCES))
        try:
            _run_flare(clean, request.config, out)
            out.rename(work)  # FLARE writes the final path into scripts, so it had to be `out`
        except BaseException:
            shutil.rmtree(out, ignore_errors=True)
            raise
        _restore_policy(kit, work)
        write_study_runtime(work, _runtime_content(request, settings, kind), runtime)
        if runtime == K8S:
            parent = settings["parent"]
            ports = [_server_port(kit, kind), int(parent.get("parent_port", PARENT_PORT))]
            harden_chart(work, kind, ports)
        _seal(kit, work, runtime)
        _verify(kit, work)
        work.chmod(0o700)
        work.rename(out)
    return _marker(out)


def read_config(path: Path) -> dict[str, Any]:
    """Reads FLARE's configuration as far as it decides what is done here.

    Raises:
        ConfigError: it cannot be read, or its runtime is not ``k8s`` or ``slurm``.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise ConfigError(
            f"{path}: missing or no YAML; start from the files in {builtin(RUNTIMES)}"
        ) from None
    runtime = content.get("runtime") if isinstance(content, dict) else None
    if runtime == "docker":
        raise ConfigError(
            f"{path}: FLARE's docker runtime mounts the Docker socket, with which a job owns the "
            f"machine; use {builtin(RUNTIMES) / 'compose.yml'}"
        )
    if runtime not in (K8S, SLURM):
        raise ConfigError(f"{path}: 'runtime' must be {K8S} or {SLURM}, not {runtime!r}")
    return dict(content)


def _check_kit(kit: Path) -> str:
    """Refuses a kit that is not as provisioned; returns ``client`` or ``server``."""
    kinds = [k for k in ("client", "server") if (kit / f"startup/fed_{k}.json").is_file()]
    if not kinds:
        raise ConfigError(f"{kit}: no start-up kit of a server or site; name the unpacked kit")
    if read_marker(kit):
        raise ConfigError(f"{kit} is prepared already; prepare the kit as it was provisioned")
    for name in (RUNTIME_FILE, "local/study_data.yaml"):
        if (kit / name).exists():
            raise ConfigError(f"the kit has its own {name}; move it away, this command writes one")
    check_kit(kit)
    return kinds[0]


def _check_places(request: Request, kit: Path, out: Path) -> None:
    if out.exists():
        raise ConfigError(f"{out} exists; remove it or choose another folder with --out")
    if out.is_relative_to(kit) or kit.is_relative_to(out):
        raise ConfigError("--out must lie outside the kit, and the kit outside --out")


def _check_folders(request: Request) -> None:
    for name in (request.data, request.cache):
        if not Path(name).is_absolute():
            raise ConfigError(
                f"under Slurm --data and --cache are folders with absolute paths, not {name!r}"
            )


def _check_claims(request: Request) -> None:
    for name in (request.data, request.cache):
        if not all(_CLAIM.fullmatch(part) for part in name.split(".")) or len(name) > 253:
            raise ConfigError(
                "under Kubernetes --data and --cache name claims, in lower-case letters, digits "
                f"and '-', not {name!r}"
            )


def _components(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The components of a ``resources.json``.

    Raises:
        ConfigError: there is no list of them, or one has no id.
    """
    found = content.get("components")
    if not isinstance(found, list):
        raise ConfigError(f"{RESOURCES} has no list of components; compare it with the template")
    for number, entry in enumerate(found, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise ConfigError(f"{RESOURCES}: component {number} has no id; give it one")
        if not isinstance(entry.get("args", {}), dict):
            raise ConfigError(f"{RESOURCES}: 'args' of {entry['id']} must be a mapping; mend it")
    return found


def _copy_clean(kit: Path, clean: Path) -> None:
    """Copies what was provisioned and the site's own files in ``local/``, with the site's policy
    as FLARE's default: no job runs, and nothing of a cache.
    """
    listed = provisioned_local(kit, None)

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if _of_cache(kit, Path(folder) / name, listed)]

    shutil.copytree(kit / "startup", clean / "startup")
    shutil.copytree(kit / "local", clean / "local", ignore=left_out)
    try:
        (clean / RESOURCES).replace(clean / DEFAULT)
    except FileNotFoundError:
        raise ConfigError(
            f"the kit has no {RESOURCES}; copy the one of {builtin(POLICIES)} into local/"
        ) from None


def _of_cache(kit: Path, path: Path, listed: Collection[str]) -> bool:
    """May it belong to a cache: an added folder, or a file as a cache itself holds?"""
    name = path.relative_to(kit)
    if path.is_dir():
        return not any(Path(file).is_relative_to(name) for file in listed)
    return name.name in (KEY, QUARANTINE) and name.as_posix() not in listed


def _run_flare(kit: Path, config: Path, out: Path) -> None:
    command = [sys.executable, "-m", "nvflare.cli", "deploy", "prepare", str(kit)]
    command += ["--config", str(config.resolve()), "--output", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not out.is_dir():
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = "; ".join(line.removeprefix("Hint: ") for line in lines[:2]) or "no output"
        raise ConfigError(f"nvflare deploy prepare: {why}")


def _restore_policy(kit: Path, work: Path) -> None:
    """The kit's own ``resources.json`` with FLARE's components that start jobs.

    It is written under both names: FLARE starts from the one, ``nvflare deploy k8s stage`` looks
    for its launcher in the other.
    """
    own, made = _read(kit / RESOURCES), _read(work / DEFAULT)
    theirs = {entry["id"]: entry for entry in _components(made)}
    components = [dict(e) for e in _components(own) if e["id"] not in _EXCHANGED]
    for entry in components:
        if entry["id"] == "job_manager" and "uri_root" in entry.get("args", {}):
            entry["args"] = theirs["job_manager"]["args"]
    launchers = [entry for name, entry in theirs.items() if name.endswith("_launcher")]
    for launcher in launchers:
        context = launcher["args"].get("security_context")
        if context:
            launcher["args"]["security_context"] = {**POD_SECURITY, **context}
    own["components"] = [*components, theirs["resource_manager"], *launchers]
    if "snapshot_persistor" in own:
        own["snapshot_persistor"] = made["snapshot_persistor"]
    for name in (RESOURCES, DEFAULT):
        write_json(work / name, own)


def _runtime_content(request: Request, settings: dict[str, Any], kind: str) -> dict[str, Any]:
    parent = settings.get("parent") or {}
    return study_runtime(
        kind,
        str(settings["runtime"]),
        image=str(parent.get("docker_image", "")),
        workspace=str(parent.get("workspace_mount_path") or WORKSPACE),
        data=request.data,
        cache=request.cache,
    )


def _server_port(kit: Path, kind: str) -> int:
    config = _read(kit / f"startup/fed_{kind}.json")
    return int(str(config["servers"][0]["service"]["target"]).rsplit(":", 1)[1])


def _seal(kit: Path, work: Path, runtime: str) -> None:
    """Puts the signed manifest where a job finds it too, and marks the added start scripts."""
    for name in (MANIFEST, SIGNATURE):
        shutil.copy2(kit / name, work / "local" / name)
    added = {f"startup/{name}" for name in ADDED[runtime]}
    found = {name: d for name, d in digests(work, ("startup",)).items() if name in added}
    Prepared(runtime, found).write(work)


def _verify(kit: Path, work: Path) -> None:
    """Is the prepared kit sealed, and does its policy differ in the exchanged parts only?"""
    check_kit(work)
    before, after = _read(kit / RESOURCES), _read(work / RESOURCES)
    keys = (before.keys() | after.keys()) - {"components", "snapshot_persistor"}
    lost = [key for key in sorted(keys) if before.get(key) != after.get(key)]
    kept = [e for e in _components(before) if e["id"] not in _EXCHANGED | {"job_manager"}]
    lost += [entry["id"] for entry in kept if entry not in _components(after)]
    for name in _KEPT:
        old, new = kit / "local" / name, work / "local" / name
        if old.is_file() and (not new.is_file() or old.read_bytes() != new.read_bytes()):
            lost.append(name)
    if lost:
        raise ConfigError(f"preparing the kit would change its policy: {', '.join(lost)}")


def _marker(kit: Path) -> Prepared:
    found = read_marker(kit)
    if found is None:
        raise ConfigError(f"{kit / MARKER} is missing; prepare the kit again")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ConfigError(
            f"{path.parent.name}/{path.name} is missing or damaged; unpack the kit afresh"
        ) from None
