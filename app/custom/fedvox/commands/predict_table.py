"""The table of label values that lies beside the labels of a folder of scans."""

from collections.abc import Sequence
from pathlib import Path

from fedvox.commands.predict_plan import Worklist
from fedvox.errors import ConfigError

TABLE = "labels.json"


def write_table(folder: Path, worklist: Worklist, organs: Sequence[str], force: bool) -> None:
    """Writes ``{"liver": 1, ...}`` before any scan is segmented; without scans to segment, nothing.

    Args:
        folder: of the labels.
        worklist: what the call will do.
        organs: the model's, in label order.
        force: replaces a table of another model.

    Raises:
        ConfigError: a report would get that name, or the folder holds another table, or labels
            without one: they may mean other organs than the new ones.
    """
    from fedvox.config import read_json
    from fedvox.files import PRIVATE, write_json

    path, table = folder / TABLE, {organ: value for value, organ in enumerate(organs, start=1)}
    if not worklist.tasks:
        return
    if any(task.report == path for task in worklist.tasks):
        raise ConfigError(
            f"--report {path}: the table of label values gets this name; choose another folder"
        )
    if worklist.skipped and not path.exists() and not force:
        raise ConfigError(
            f"--output {folder}: it holds labels without a table ({TABLE}), so nobody can tell "
            "which organs they mean; choose another folder, or give --force to segment all again"
        )
    if path.exists() and not force:
        try:
            same = read_json(path) == table
        except ConfigError:
            same = False
        if not same:
            raise ConfigError(
                f"--output {folder}: its {TABLE} is not the table of this model, so its labels "
                "mean other organs; choose another folder, or give --force to segment all again"
            )
    try:
        write_json(path, table, PRIVATE)
    except OSError as error:
        raise ConfigError(
            f"{path}: it cannot be written ({error.strerror}); make room, or choose another place"
        ) from None
