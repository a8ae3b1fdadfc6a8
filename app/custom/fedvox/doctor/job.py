"""Checks of a job against this machine and its kit: versions, allow-list, waiting times."""

import os
from pathlib import Path

from fedvox.config import read_json
from fedvox.doctor.kit import Kit, read_local
from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.flare.jobs.allow_list import refused_classes
from fedvox.flare.jobs.folder import CUSTOM, job_settings
from fedvox.flare.jobs.review import META, SIDES, job_problems, starts_own_program
from fedvox.flare.jobs.versions import NOT_INSTALLED, differing, installed_versions, read_versions
from fedvox.flare.kits.rights import granted_roles

WAIT_FACTOR = 2.0


def check_versions(job: Path | None, trains: bool = True) -> Finding:
    """Are FLARE, torch and fedvox those that the job was exported with?

    Args:
        job: the job's folder.
        trains: whether this machine is a site or the server; else torch may be missing.
    """
    own = installed_versions()
    text = ", ".join(f"{name} {version}" for name, version in own.items())
    if job is None:
        return passed("versions", text)
    wanted = read_versions(job)
    bare = not trains and own["torch"] == NOT_INSTALLED
    if bare:
        own["torch"] = wanted["torch"]
    wrong = differing(wanted, own)
    if wrong:
        return Finding("versions", FAIL, "; ".join(wrong), "install the versions of the job")
    if bare:
        return passed("versions", f"{text}; the job's {wanted['torch']} is for sites and server")
    return passed("versions", f"{text}, as the job")


def check_allow_list(job: Path, kit: Kit) -> Finding:
    """May this kit build every class that the job names, as FLARE would decide?"""
    meta = read_json(job / META)
    others = sorted(set(meta.get("deploy_map") or {}) - {"app"})
    if others or not meta.get("deploy_map"):
        return Finding(
            "allow-list",
            FAIL,
            f"meta.json deploys {', '.join(map(repr, others)) or 'no app'}, an export only 'app'",
            "refuse the job, or ask for it as 'fedvox job export' writes it",
        )
    if os.path.lexists(job / CUSTOM) or starts_own_program(meta, _flare_name(kit)):
        return _check_carried(job, kit)
    config = read_json(job / SIDES[kit.kind])
    missing, refused = refused_classes(config, kit.folder / "local" / "resources.json")
    if refused:
        return Finding(
            "allow-list",
            FAIL,
            f"FLARE refuses the job here: {refused[0]}",
            "mend class_allow_list in local/resources.json if it is named, else refuse the job",
        )
    if missing:
        return Finding(
            "allow-list",
            FAIL,
            f"local/resources.json does not allow {', '.join(missing)}",
            "review these classes and add them to class_allow_list, or refuse the job",
        )
    return passed("allow-list", "covers every class of the job")


def _check_carried(job: Path, kit: Kit) -> Finding:
    """A job with code of its own, for which FLARE skips the allow-list."""
    allowed = granted_roles(read_local(kit.folder / "local" / "authorization.json"), "byoc")
    if not allowed:
        return Finding(
            "allow-list",
            FAIL,
            "the job carries code and this site grants nobody that right (byoc)",
            "ask for the job without code: fedvox job export NAME --code preinstalled",
        )
    found = job_problems(job)
    if found:
        return Finding(
            "allow-list",
            FAIL,
            f"FLARE skips the allow-list for a job with code, and {len(found)} things of this one "
            f"are in no export; the first is {found[0]}",
            "refuse the job, or read all: fedvox job diff JOB_FOLDER --text",
        )
    return Finding(
        "allow-list",
        WARN,
        f"the job carries code, allowed for {', '.join(allowed)}: FLARE skips the allow-list",
        "read what it would run: fedvox job diff JOB_FOLDER --text",
    )


def _flare_name(kit: Kit) -> str:
    """The name under which FLARE starts jobs here."""
    if kit.kind == "server":
        return "server"
    return kit.name


def check_waiting(job: Path, round_seconds: float, preparing_seconds: float = 0.0) -> Finding:
    """Does the job wait long enough for a site as slow as this one?

    A site prepares all its cases before it registers, and the job starts without a site that has
    not registered in time.

    Args:
        job: the job's folder.
        round_seconds: one local round here, extrapolated from measured steps.
        preparing_seconds: of the cases that are not prepared yet, extrapolated from a sample.
    """
    waiting = job_settings(job).waiting
    key = "round" if waiting.round else "first"
    limit: float = getattr(waiting, key)
    short, wanted = [], []
    need = WAIT_FACTOR * round_seconds
    if limit < need:
        short.append(f"a local round takes about {round_seconds:.0f} s, it waits {limit:.0f}")
        wanted.append(f"waiting.{key}={need:.0f}")
    start, need = waiting.handshake, WAIT_FACTOR * preparing_seconds
    if start < need:
        short.append(
            f"preparing the cases takes about {preparing_seconds:.0f} s, it waits {start:.0f}"
        )
        wanted.append(f"waiting.handshake={need:.0f}")
    if short:
        return Finding(
            "waiting",
            WARN,
            f"the job would leave this site out: {'; '.join(short)} s",
            f"{_when_idle()}ask the lead to export it with at least --set {' --set '.join(wanted)}",
        )
    return passed(
        "waiting",
        f"a local round takes about {round_seconds:.0f} s here, the job waits {limit:.0f} s",
    )


def _when_idle() -> str:
    """A first remedy where other programs made the measured round slow."""
    if os.getloadavg()[0] > (os.cpu_count() or 1) + 1:
        return "other programs keep this machine busy: measure again when they have ended, else "
    return ""
