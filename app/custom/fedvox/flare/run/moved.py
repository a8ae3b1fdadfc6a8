"""What stood in a job's files for FLARE and stands in ``training.json`` now."""

from collections.abc import Mapping
from typing import Any

from fedvox.errors import ConfigError

MOVED = {
    "min_clients": "sites",
    "wait_time_after_min_received": "round",
    "train_timeout": "round",
    "validation_timeout": "evaluation",
    "submit_model_timeout": "evaluation",
    "timeout": "handshake",
}
"""Arguments of components in jobs of old -> keys of ``waiting`` in ``training.json``."""


def refuse_moved(arguments: Mapping[str, Any]) -> None:
    """Refuses what a component of the server was told about waiting before ``waiting`` was.

    Args:
        arguments: of the component, as its job's ``config_fed_server.json`` has them.

    Raises:
        ConfigError: names the key and where it stands now.
    """
    for name in sorted(set(arguments) & set(MOVED)):
        raise ConfigError(
            f"'{name}' in config_fed_server.json: this stands in training.json now, as "
            f"'waiting.{MOVED[name]}'; export the job anew"
        )


def refuse_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuses every argument of a component that takes none.

    Args:
        arguments: of the component, as its job's ``config_fed_server.json`` has them.

    Raises:
        ConfigError: names the first one, and its new place if it has one.
    """
    refuse_moved(arguments)
    for name in sorted(arguments):
        raise ConfigError(f"'{name}' in config_fed_server.json: its component takes no arguments")
