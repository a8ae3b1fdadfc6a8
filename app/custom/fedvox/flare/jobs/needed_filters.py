"""Filters without which a setting of ``training.json`` has no effect, or the wrong one."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.errors import ConfigError
from fedvox.flare.jobs.classes import class_names
from fedvox.flare.jobs.folder import CLIENT, SERVER, plans_only
from fedvox.job.settings import JobSettings

PERSONAL = ((SERVER, "task_data_filters", "fedvox.flare.downlink.OwnPart"),)
COMPRESSION = (
    (SERVER, "task_data_filters", "fedvox.flare.downlink.SendModel"),
    (CLIENT, "task_data_filters", "fedvox.flare.compress.ReceiveModel"),
    (CLIENT, "task_result_filters", "fedvox.flare.compress.SendUpdate"),
)
ENCRYPTION = (PERSONAL[0], *COMPRESSION[1:])


def require_filters(source: Path, job: JobSettings) -> None:
    """Looks whether a job folder names the filters that its settings need.

    Args:
        source: the job folder.
        job: its settings, overrides included.

    Raises:
        ConfigError: names the setting, the file and the class.
    """
    if plans_only(source):
        return
    needed = {
        "training.personal": PERSONAL if job.training.personal else (),
        "compression": COMPRESSION if job.compression is not None else (),
        "encryption": ENCRYPTION if job.encryption is not None else (),
    }
    for setting, filters in needed.items():
        require_named(setting, filters, lambda file: read_json(source / file))


def require_named(
    setting: str,
    filters: Iterable[tuple[Path, str, str]],
    read: Callable[[Path], Mapping[str, Any]],
) -> None:
    """Looks whether configurations name filters.

    Args:
        setting: that needs them.
        filters: file, key and class of each.
        read: file -> its content.

    Raises:
        ConfigError: names the setting, the file and the class.
    """
    for file, place, name in filters:
        if name not in class_names(read(file).get(place, [])):
            raise ConfigError(
                f"'{setting}' is set and {file} does not name {name} under {place}; copy that "
                f"block from the job fedgin, or leave '{setting}' out"
            )
