"""Renewal of one participant's certificate."""

import json
from pathlib import Path

from fedvox.errors import ConfigError
from fedvox.files import write_json

STORE = "cert.json"
_ROOT = ("root_cert", "root_pri_key")


def renew(name: str, state: Path) -> None:
    """Takes a participant's certificate and key out of FLARE's store of certificates.

    The next provisioning makes new ones for it; the root CA and everybody else's stay. The store
    holds private keys: whatever its mode was, afterwards only its owner can read it.

    Args:
        name: the participant, as in the project file.
        state: FLARE's ``state`` folder of the project.

    Raises:
        ConfigError: the store cannot be read, or holds no certificate of that name.
    """
    store = state / STORE
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        participants = sorted(key for key, entry in content.items() if isinstance(entry, dict))
    except (OSError, ValueError, AttributeError):
        raise ConfigError(
            f"{store} is missing or damaged; name the project's state folder with --state"
        ) from None
    if name in _ROOT:
        raise ConfigError(f"{name} is the root CA's: a new one would invalidate every kit")
    if name not in participants:
        raise ConfigError(f"{store} has no certificate of {name}; it has {', '.join(participants)}")
    write_json(store, {key: entry for key, entry in content.items() if key != name}, mode=0o600)
