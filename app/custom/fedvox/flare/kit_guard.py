"""Refuses to start from a start-up kit that is not the one that was provisioned."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from nvflare.apis.fl_component import FLComponent

from fedvox.errors import ConfigError
from fedvox.files import atomic_path
from fedvox.flare.kits.prepared import Prepared, read_marker
from fedvox.manifest import MANIFEST, compare, digests, read_manifest

SIGNATURE = f"{MANIFEST}.sig"
ROOT = "startup/rootCA.pem"
PARTS = ("startup",)
"""Folders of a kit that nobody may change; a site tightens its policies in ``local/``."""
LISTED = (*PARTS, "local")
"""Folders in the signed manifest; ``fedvox doctor`` tells what was changed in ``local/``."""
_REMEDY = "unpack the kit afresh or ask the operator for a new one"


def sign_manifest(kit: Path, key: rsa.RSAPrivateKey) -> None:
    """Signs the kit's manifest with the root key: RSA PKCS#1 v1.5 over SHA-256.

    This signature has no random part, so provisioning the same kit twice gives the same bytes.
    ``openssl dgst -sha256 -verify`` checks it too.
    """
    content = (kit / MANIFEST).read_bytes()
    with atomic_path(kit / SIGNATURE) as temporary:
        temporary.write_bytes(key.sign(content, padding.PKCS1v15(), hashes.SHA256()))


def check_kit(kit: Path) -> Prepared | None:
    """Verifies the manifest's signature and compares the kit's ``startup`` folder with it.

    A kit that ``fedvox kit prepare`` wrote keeps the manifest in ``local/``, since FLARE gives
    only ``startup/`` and ``local/`` to a job in its own pod or Slurm job. Its start scripts are
    compared with the mark in ``local/prepared.json``, which nobody signed: they are the site's
    own. Everything else must be as provisioned.

    Returns:
        How the kit was prepared; None for a kit as provisioned.

    Raises:
        ConfigError: names the files that differ.
    """
    prepared = read_marker(kit)
    seal = kit / "local" if prepared else kit
    listed, present = read_manifest(seal / MANIFEST), digests(kit, PARTS, caches=True)
    expected = {name: digest for name, digest in listed.items() if _sealed(name)}
    if prepared:
        expected, present = prepared.expected(expected), prepared.visible(present)
    found = compare(expected, present)
    if found:
        raise ConfigError(
            f"the start-up kit is not the one that was provisioned: {'; '.join(found)}; {_REMEDY}"
        )
    if not (seal / SIGNATURE).is_file():
        raise ConfigError(f"{SIGNATURE} of the start-up kit is missing; {_REMEDY}")
    try:
        root = x509.load_pem_x509_certificate((kit / ROOT).read_bytes()).public_key()
        if not isinstance(root, rsa.RSAPublicKey):
            raise ValueError("no RSA key")
        signed = (seal / MANIFEST).read_bytes(), (seal / SIGNATURE).read_bytes()
        root.verify(signed[1], signed[0], padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, OSError):
        raise ConfigError(
            f"{MANIFEST} of the start-up kit is not signed by the project's root CA; {_REMEDY}"
        ) from None
    return prepared


def provisioned_local(kit: Path, prepared: Prepared | None) -> dict[str, str]:
    """File of ``local/`` -> SHA-256, as provisioned; :func:`check_kit` verifies the manifest.

    Args:
        kit: the kit.
        prepared: how it was prepared.
    """
    listed = read_manifest((kit / "local" if prepared else kit) / MANIFEST)
    return {name: digest for name, digest in listed.items() if not _sealed(name)}


def _sealed(name: str) -> bool:
    return name.partition("/")[0] in PARTS


class KitGuard(FLComponent):
    """Component of ``local/resources.json``: building it checks the kit, so that FLARE's parent
    process does not start from a changed one, nor a job. FLARE's processes work in the workspace
    when they build components, a job in its own Slurm job in its run folder below it; in a
    container ``startup`` is a link into a copy of the kit.

    Raises:
        ConfigError: a file of ``startup/`` was changed, removed or added.
    """

    def __init__(self) -> None:
        super().__init__()
        here = Path() if Path("startup").is_dir() else Path("..")
        check_kit((here / "startup").resolve().parent)
