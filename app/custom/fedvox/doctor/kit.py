"""Checks of a start-up kit: seal, certificates, rights, policies."""

import datetime as dt
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from fedvox.doctor.finding import FAIL, WARN, Finding, passed
from fedvox.errors import ConfigError

DAYS_WARN, DAYS_FAIL = 30, 0
OUTGOING = "fedvox.flare.outgoing.OutgoingFilter"
RECEIVED = "fedvox.flare.received.ReceivedModel"
GUARD = "fedvox.flare.kit_guard.KitGuard"


@dataclass(frozen=True)
class Kit:
    """A start-up kit on this machine.

    Attributes:
        folder: it holds ``startup`` and ``local``.
        kind: ``server`` or ``client``.
    """

    folder: Path
    kind: str

    @property
    def certificate(self) -> x509.Certificate:
        """The participant's own certificate."""
        return _certificate(self.folder / "startup" / f"{self.kind}.crt")

    @property
    def root(self) -> x509.Certificate:
        """The project's root CA."""
        return _certificate(self.folder / "startup" / "rootCA.pem")

    @property
    def target(self) -> tuple[str, int]:
        """Host and port of the server."""
        config = read_local(self.folder / "startup" / f"fed_{self.kind}.json")
        try:
            host, port = str(config["servers"][0]["service"]["target"]).rsplit(":", 1)
            return host, int(port)
        except (KeyError, IndexError, TypeError, ValueError):
            raise ConfigError(
                f"startup/fed_{self.kind}.json names no server; ask the operator for a new kit"
            ) from None


def open_kit(folder: Path) -> Kit:
    """Recognises a server's or site's kit.

    Raises:
        ConfigError: it is neither.
    """
    for kind in ("client", "server"):
        if (folder / "startup" / f"fed_{kind}.json").is_file():
            return Kit(folder, kind)
    raise ConfigError(f"{folder}: no start-up kit of a server or site; name the unpacked kit")


def read_local(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a kit.

    Raises:
        ConfigError: missing or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path.parent.name}/{path.name} is missing or damaged; unpack the kit afresh"
        )
    return content


def check_seal(kit: Kit) -> Finding:
    """Is ``startup/`` byte for byte what was provisioned?

    A prepared kit gets a warning: nobody signed its start scripts or chart, and one who changed a
    kit on its way could have left the same mark.
    """
    from fedvox.flare.kit_guard import check_kit

    prepared = check_kit(kit.folder)
    if prepared:
        scripts = ", ".join(sorted(prepared.scripts)) or "helm_chart/"
        return Finding(
            "kit",
            WARN,
            f"prepared for {prepared.runtime}: certificates, key and server are as provisioned and "
            f"signed, but {scripts} and the job settings in local/ are this site's own",
            "right if you ran 'fedvox kit prepare' here; a kit that arrived like this is not the "
            "operator's: ask for a new one",
        )
    return passed("kit", "startup/ is as provisioned, its manifest is signed by the root CA")


def check_ca(kit: Kit, fingerprint: str = "") -> Finding:
    """Does the root CA sign the certificate, and is it the one that the operator named?"""
    found = kit.root.fingerprint(hashes.SHA256()).hex()
    try:
        kit.certificate.verify_directly_issued_by(kit.root)
    except (InvalidSignature, ValueError, TypeError):
        return Finding(
            "ca",
            FAIL,
            f"the certificate was not issued by this kit's root CA ({found[:16]}…)",
            "unpack the kit afresh; do not mix files of two kits",
        )
    wanted = fingerprint.replace(":", "").lower()
    if wanted and wanted != found:
        return Finding(
            "ca",
            FAIL,
            f"the root CA is {found[:16]}…, the operator named {wanted[:16]}…",
            "ask the operator for a kit of the right project, by a second channel",
        )
    return passed("ca", f"root CA SHA-256 {found}")


def check_certificate(kit: Kit, now: dt.datetime | None = None) -> Finding:
    """Days left of the participant's certificate and of the root CA."""
    now = now or dt.datetime.now(dt.UTC)
    end = min(kit.certificate.not_valid_after_utc, kit.root.not_valid_after_utc)
    days = (end - now).days
    remedy = "ask the operator for renewed kits: docs/operator.md, 'Renew a certificate'"
    if days < DAYS_FAIL:
        return Finding("certificate", FAIL, f"expired {-days} days ago", remedy)
    if days < DAYS_WARN:
        return Finding("certificate", WARN, f"{days} days left", remedy)
    return passed("certificate", f"{days} days left")


def check_permissions(kit: Kit, folders: list[Path]) -> Finding:
    """Is the private key readable by its owner only, and may we write where we must?"""
    key = kit.folder / "startup" / f"{kit.kind}.key"
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        return Finding(
            "permissions",
            FAIL,
            f"startup/{key.name} can be read by others (mode {mode:o})",
            f"chmod 600 startup/{key.name}, and ask for a new kit if others were on this machine",
        )
    for folder in folders:
        if not writable(folder):
            return Finding(
                "permissions",
                FAIL,
                f"{'the kit' if folder == kit.folder else 'the cache'} cannot be written",
                "give the folder to the user who runs the site",
            )
    return passed("permissions", "private key is private, kit and cache can be written")


def writable(folder: Path) -> bool:
    """May this user write there? Asks the mode, so that root is told too."""
    from fedvox.doctor.host import existing

    folder = existing(folder)
    mode = folder.stat().st_mode
    return os.access(folder, os.W_OK | os.X_OK) and bool(mode & 0o222)


def check_policies(kit: Kit) -> Finding:
    """Does the site's own policy protect it as the template does?"""
    from fedvox.flare.kit_prepared import MARKER
    from fedvox.flare.rights import excess_rights

    local = kit.folder / "local"
    resources = read_local(local / "resources.json")
    weak = weak_resources(resources, kit.kind)
    if kit.kind == "client":
        weak += weak_privacy(read_local(local / "privacy.json"))
    if not _redacts(read_local(local / "log_config.json")):
        weak.append("log_config.json has a handler that does not redact")
    policy = read_local(local / "authorization.json")
    weak += [f"authorization.json {clause}" for clause in excess_rights(policy)]
    if weak:
        remedy = "copy the files of provisioning/policies into local/"
        if (kit.folder / MARKER).exists():
            remedy = "run 'fedvox kit prepare' again on the kit as it was provisioned"
        return Finding("policies", FAIL, "; ".join(weak), remedy)
    rights = policy["permissions"]
    byoc = sorted(role for role, own in rights.items() if _grants(own, "byoc"))
    text = f"carried code is allowed for {', '.join(byoc)}" if byoc else "carried code is refused"
    return passed("policies", text)


def weak_resources(resources: dict[str, Any], kind: str) -> list[str]:
    """What a site's ``resources.json`` lets through that the template does not."""
    weak = []
    if resources.get("class_list_enforcement_mode", "enforce") != "enforce":
        weak.append("resources.json does not enforce class_allow_list")
    allowed = resources.get("class_allow_list")
    if not isinstance(allowed, list):
        weak.append("resources.json has no class_allow_list")
    else:
        wide = [str(entry) for entry in allowed if str(entry).endswith((".", "*")) or not entry]
        weak += [f"class_allow_list allows {entry or 'everything'}" for entry in wide]
    components = resources.get("components")
    paths = [c.get("path") for c in components or [] if isinstance(c, dict)]
    if GUARD not in paths:
        weak.append("resources.json has no kit_guard")
    if kind == "client" and resources.get("allow_log_streaming", True):
        weak.append("the error log streams to the server")
    return weak


def weak_privacy(privacy: dict[str, Any]) -> list[str]:
    """Filters of the template that a scope of the site's ``privacy.json`` lacks."""
    scopes = privacy.get("scopes")
    weak = []
    if not _filtered(scopes, "task_result_filters", OUTGOING, "out"):
        weak.append("privacy.json does not run the outgoing filter on every scope's results")
    if not _filtered(scopes, "task_data_filters", RECEIVED, "in"):
        weak.append("privacy.json does not note the received model (ReceivedModel) in every scope")
    return weak


def _filtered(scopes: Any, chain: str, path: str, direction: str) -> bool:
    if not isinstance(scopes, list) or not scopes:
        return False
    return all(
        any(
            isinstance(entry, dict)
            and entry.get("path") == path
            and str(entry.get("direction", direction)).lower() in (direction, "inout")
            for entry in scope.get(chain) or []
        )
        for scope in scopes
        if isinstance(scope, dict)
    )


def _redacts(config: dict[str, Any]) -> bool:
    formatters, handlers = config.get("formatters"), config.get("handlers")
    if not isinstance(formatters, dict) or not isinstance(handlers, dict):
        return False
    safe = {name for name, own in formatters.items() if "Redacting" in str(own.get("()", ""))}
    return all(handler.get("formatter") in safe for handler in handlers.values())


def _grants(rights: Any, right: str) -> bool:
    return isinstance(rights, dict) and rights.get(right, "none") != "none"


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigError(
            f"startup/{path.name} is missing or no certificate; unpack the kit afresh"
        ) from None
