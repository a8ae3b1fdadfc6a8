"""Checks of a start-up kit: seal, certificates, rights, policies."""

import datetime as dt
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from fedvox.data.site.site_names import check_site_name
from fedvox.errors import ConfigError
from fedvox.finding import FAIL, WARN, Finding, passed

DAYS_WARN, DAYS_FAIL = 30, 0


@dataclass(frozen=True)
class Kit:
    """A start-up kit on this machine.

    Attributes:
        folder: it holds ``startup`` and ``local``.
        kind: ``server``, ``client`` (a site) or ``admin`` (a person).
    """

    folder: Path
    kind: str

    @property
    def credentials(self) -> tuple[Path, Path]:
        """Files of certificate and private key."""
        name = "server" if self.kind == "server" else "client"
        return self.folder / f"startup/{name}.crt", self.folder / f"startup/{name}.key"

    @property
    def workspace(self) -> Path:
        """Folder in which FLARE works: in a container not the kit, which it mounts read-only."""
        other = os.environ.get("NVFL_WORKSPACE", "") if self.kind != "admin" else ""
        return Path(other) if other else self.folder

    @property
    def certificate(self) -> x509.Certificate:
        """The participant's own certificate."""
        return _certificate(self.credentials[0])

    @property
    def name(self) -> str:
        """Under which name the participant is known: its certificate's."""
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def root(self) -> x509.Certificate:
        """The project's root CA."""
        return _certificate(self.folder / "startup" / "rootCA.pem")

    @property
    def target(self) -> tuple[str, int]:
        """Host of the server, and its port: for a person the admin port."""
        return self.targets[0]

    @property
    def targets(self) -> list[tuple[str, int]]:
        """The same, and for the server itself its admin port too."""
        config = read_local(self.folder / "startup" / f"fed_{self.kind}.json")
        try:
            if self.kind == "admin":
                return [(str(config["admin"]["host"]), int(config["admin"]["port"]))]
            server = config["servers"][0]
            host, port = str(server["service"]["target"]).rsplit(":", 1)
            ports = {int(port): None, int(server.get("admin_port", port)): None}
            return [(host, number) for number in ports]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ConfigError(
                f"startup/fed_{self.kind}.json names no server; ask the operator for a new kit"
            ) from None


def open_kit(folder: Path) -> Kit:
    """Recognises the kit of a server, a site or a person.

    Raises:
        ConfigError: it is none.
    """
    for kind in ("client", "server", "admin"):
        if (folder / "startup" / f"fed_{kind}.json").is_file():
            return Kit(folder, kind)
    raise ConfigError(_no_kit(folder))


def _no_kit(folder: Path) -> str:
    """What somebody probably meant who named a folder that is no kit."""
    if folder.is_file():
        return f"{folder}: it is a file; unpack the kit, if it is one, and name the folder"
    if not folder.is_dir():
        return f"{folder}: no such folder; name the unpacked kit"
    parent = folder.resolve().parent
    if folder.name in ("startup", "local") and any((parent / "startup").glob("fed_*.json")):
        return f"{folder} lies in a kit; name the kit: {folder.parent}"
    levels = ("*", "*/*", "*/*/*")  # not the whole disk: provisioning makes no deeper folders
    inside = sorted(
        path.parents[1] for level in levels for path in folder.glob(f"{level}/startup/fed_*.json")
    )
    if inside:
        names = ", ".join(str(path) for path in inside[-3:])
        return f"{folder} is no start-up kit but holds {len(inside)}; name one, as in: {names}"
    return (
        f"{folder}: no start-up kit, since it lacks startup/fed_client.json (a site), "
        "fed_server.json (the server) or fed_admin.json (a person); name the unpacked kit"
    )


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


def read_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 digits, from what people and openssl write.

    Raises:
        ConfigError: it is none.
    """
    digits = re.sub(r"(?i)^.*=|^\s*sha-?256(?=[:\s])|[-:\s\"'“”„]", "", text).lower()
    if re.fullmatch("[0-9a-f]{40}", digits):
        raise ConfigError(
            "--root-ca: 40 digits are a SHA-1 fingerprint; ask the operator for SHA-256, 64 digits"
        )
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ConfigError(
            f"--root-ca: {text!r} is not a SHA-256 fingerprint; give the operator's 64 hexadecimal "
            "digits, with or without colons"
        )
    return digits


def check_ca(kit: Kit, wanted: str = "") -> Finding:
    """Does the root CA sign the certificate, and is it the one that the operator named?

    Args:
        kit: the kit.
        wanted: from :func:`read_fingerprint`; empty, the operator named none.
    """
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
    if wanted and wanted != found:
        return Finding(
            "ca",
            FAIL,
            f"the root CA is {found[:16]}…, the operator named {wanted[:16]}…",
            "do not start it; ask the operator for a kit of the right project, by a second channel",
        )
    compared = "as the operator named it" if wanted else "compared with nothing: give --root-ca"
    return passed("ca", f"root CA SHA-256 {found}, {compared}")


def check_name(kit: Kit) -> Finding:
    """Does the site have a name under which its results reach the report?"""
    try:
        check_site_name(kit.name)
    except ConfigError as error:
        reason = str(error).partition("; ")[0]
        remedy = "ask the operator for a kit under another name, of letters, digits, '-' and '_'"
        return Finding("name", FAIL, reason, remedy)
    return passed("name", f"the site is called {kit.name}")


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
    key = kit.credentials[1]
    if not key.is_file():
        raise ConfigError(f"startup/{key.name} is missing; unpack the kit afresh")
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        return Finding(
            "permissions",
            FAIL,
            f"startup/{key.name} can be read by others (mode {mode:o})",
            f"chmod 600 startup/{key.name}, and ask for a new kit if others were on this machine",
        )
    names = {kit.workspace: "the folder in NVFL_WORKSPACE", kit.folder: "the kit"}
    for folder in folders:
        place = names.get(folder, "the cache")
        if not writable(folder):
            return Finding(
                "permissions",
                FAIL,
                f"{place} cannot be written",
                "give the folder to the user who runs the site",
            )
    return passed("permissions", "private key is private, kit and cache can be written")


def writable(folder: Path) -> bool:
    """May this user write there? Asks the mode, so that root is told too."""
    from fedvox.doctor.host import existing

    folder = existing(folder)
    mode = folder.stat().st_mode
    return os.access(folder, os.W_OK | os.X_OK) and bool(mode & 0o222)


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigError(
            f"startup/{path.name} is missing or no certificate; unpack the kit afresh"
        ) from None
