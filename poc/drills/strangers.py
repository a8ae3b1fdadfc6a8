"""Clients that must not get in: made from a real kit, and started as FLARE starts its own."""

import datetime as dt
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fedvox.doctor.network import HTTP2, HTTP2_HELLO
from fedvox.flare.loopback.guard import MARK
from fedvox.flare.loopback.kits import Kits

KINDS = ("foreign", "expired", "none", "name")
"""Another CA, a certificate of yesterday, none at all, a name that no hospital has. TLS refuses the
first three; the last one it takes, and FLARE refuses what is said under the name."""
REFUSED = "Error processing frame"
"""In the server's console for each message that FLARE does not take."""
DAY = dt.timedelta(days=1)


def stranger(kits: Kits, site: str, kind: str, folder: Path) -> Path:
    """A site's kit with a certificate that must not be believed, and without our guard.

    Args:
        kits: of the federation; the root CA's key lies beside them.
        site: whose kit is copied.
        kind: one of :data:`KINDS`.
        folder: for the kit.
    """
    kit = folder / kind
    shutil.copytree(kits.kit(site), kit)
    path = kit / "local/resources.json"
    resources = json.loads(path.read_text())
    parts = resources["components"]  # who breaks in brings no guard of ours
    resources["components"] = [part for part in parts if part["id"] != "kit_guard"]
    path.write_text(json.dumps(resources))
    if kind == "none":
        config = kit / "startup/fed_client.json"
        config.write_text(config.read_text().replace('"mtls"', '"tls"'))
        (kit / "startup/client.crt").unlink()
        (kit / "startup/client.key").unlink()
        return kit
    state = json.loads((kits.folder.parent / "state/cert.json").read_text())
    signer = serialization.load_pem_private_key(state["root_pri_key"].encode(), None)
    assert isinstance(signer, rsa.RSAPrivateKey)
    now = dt.datetime.now(dt.UTC)
    start, end = (now - 2 * DAY, now - DAY) if kind == "expired" else (now - DAY, now + DAY)
    write_certificate(
        kit,
        x509.load_pem_x509_certificate(state["root_cert"].encode()),
        rsa.generate_private_key(65537, 2048) if kind == "foreign" else signer,
        "site-9" if kind == "name" else site,
        (start, end),
    )
    return kit


def write_certificate(
    kit: Path,
    root: x509.Certificate,
    signer: rsa.RSAPrivateKey,
    name: str,
    valid: tuple[dt.datetime, dt.datetime],
) -> None:
    """Puts another certificate of the kit's own key into it.

    Args:
        kit: a client's.
        root: the CA that it claims to be signed by.
        signer: the key that signs it.
        name: its subject.
        valid: from and until when.
    """
    key = serialization.load_pem_private_key((kit / "startup/client.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .sign(signer, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (kit / "startup/client.crt").write_bytes(pem)


@dataclass(frozen=True)
class Attempt:
    """A FLARE client that was started.

    Attributes:
        process: its process.
        output: file with what it prints.
    """

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace")

    def end(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()


def attempt(kit: Path, name: str, folder: Path, mark: str) -> Attempt:
    """Starts a FLARE client under a name with a copy of a kit.

    Args:
        kit: any client's.
        name: that it claims.
        folder: for the copy and its output.
        mark: of the federation, so that the process ends with it.
    """
    place, output = folder / name, folder / f"{name}.txt"
    shutil.copytree(kit, place)
    command = [sys.executable, "-u", "-m", "nvflare.private.fed.app.client.client_train"]
    command += ["-m", str(place), "-s", "fed_client.json", "--set", "secure_train=true"]
    command += [f"uid={name}", "org=hospital_c", "config_folder=config"]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=place, env={**os.environ, MARK: mark}, stdout=stream, stderr=stream
        )
    return Attempt(process, output)


def refusals(console: Path) -> int:
    """Messages that the server did not take so far.

    Args:
        console: the server's.
    """
    return console.read_text(errors="replace").count(REFUSED)


def server_speaks(kits: Kits, kit: Path) -> bool:
    """Does the server answer over TLS to a kit's certificate? A refusal closes the connection."""
    context = ssl.create_default_context(cafile=str(kit / "startup/rootCA.pem"))
    if (kit / "startup/client.crt").is_file():
        context.load_cert_chain(kit / "startup/client.crt", kit / "startup/client.key")
    context.set_alpn_protocols([HTTP2])
    with socket.create_connection(("localhost", kits.port), timeout=120) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                secured.sendall(HTTP2_HELLO)
                return len(secured.recv(1)) > 0
        except (ssl.SSLError, ConnectionError):
            return False
