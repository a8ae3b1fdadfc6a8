"""Checks of a job against this machine and its kit: versions, allow-list, waiting times."""

import json
from pathlib import Path

from fedvox.doctor.finding import FAIL, WARN, Finding, passed
from fedvox.doctor.kit import Kit, read_local
from fedvox.flare.job_folder import CUSTOM
from fedvox.flare.versions import differing, installed_versions, read_versions

WAIT_FACTOR = 2.0


def check_versions(job: Path | None) -> Finding:
    """Are FLARE, torch and fedvox those that the job was exported with?"""
    own = installed_versions()
    text = ", ".join(f"{name} {version}" for name, version in own.items())
    if job is None:
        return passed("versions", text)
    wrong = differing(read_versions(job), own)
    if wrong:
        return Finding("versions", FAIL, "; ".join(wrong), "install the versions of the job")
    return passed("versions", f"{text}, as the job")


def check_allow_list(job: Path, kit: Kit) -> Finding:
    """May this kit build every class that the job names?"""
    if (job / CUSTOM).is_dir():
        rights = read_local(kit.folder / "local" / "authorization.json").get("permissions", {})
        granted = [r for r, own in rights.items() if isinstance(own, dict) and own.get("byoc")]
        allowed = [r for r in granted if rights[r]["byoc"] != "none"]
        if not allowed:
            return Finding(
                "allow-list",
                FAIL,
                "the job carries code and this site grants nobody that right (byoc)",
                "ask for the job without code: fedvox job export NAME --code preinstalled",
            )
        return Finding(
            "allow-list",
            WARN,
            f"the job carries code, allowed for {', '.join(allowed)}: FLARE skips the allow-list",
            "read what it would run: fedvox job diff JOB_FOLDER --text",
        )
    allowed = read_local(kit.folder / "local" / "resources.json").get("class_allow_list", [])
    side = "server" if kit.kind == "server" else "client"
    config = read_local(job / "app" / "config" / f"config_fed_{side}.json")
    missing = sorted({path for path in class_names(config) if not _covered(path, allowed)})
    if missing:
        return Finding(
            "allow-list",
            FAIL,
            f"local/resources.json does not allow {', '.join(missing)}",
            "review these classes and add them to class_allow_list, or refuse the job",
        )
    return passed("allow-list", "covers every class of the job")


def check_waiting(job: Path, round_seconds: float) -> Finding:
    """Does the job wait long enough for a site as slow as this one?

    Args:
        job: the job's folder.
        round_seconds: one local round here, extrapolated from measured steps.
    """
    config = json.loads((job / "app/config/config_fed_server.json").read_text())
    waits = [
        float(flow["args"][key])
        for flow in config.get("workflows", [])
        for key in ("wait_time_after_min_received", "train_timeout")
        if flow.get("args", {}).get(key)
    ]
    need = WAIT_FACTOR * round_seconds
    if waits and min(waits) < need:
        return Finding(
            "waiting",
            WARN,
            f"a local round takes about {round_seconds:.0f} s here, the job waits {min(waits):.0f} "
            "s: this site would be left out",
            f"ask the operator to wait at least {need:.0f} s (wait_time_after_min_received)",
        )
    return passed("waiting", f"a local round takes about {round_seconds:.0f} s here")


def class_names(node: object) -> list[str]:
    """Every class that a configuration names, under ``path`` or ``class_path``."""
    if isinstance(node, dict):
        found = [node.get(key) for key in ("path", "class_path")]
        own = [name for name in found if isinstance(name, str) and "." in name]
        return own + [name for value in node.values() for name in class_names(value)]
    if isinstance(node, list):
        return [name for value in node for name in class_names(value)]
    return []


def _covered(path: str, allowed: list[str]) -> bool:
    return any(path == e or (e.endswith(".") and path.startswith(e)) for e in allowed)
