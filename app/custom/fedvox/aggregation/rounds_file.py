"""``rounds.jsonl``, the record that the server writes after each round."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.errors import ConfigError
from fedvox.files import write_text


def write_rounds(path: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Writes ``rounds.jsonl`` atomically."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in rounds))


def read_rounds(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a run, in the order of the rounds.

    A last line that is cut off is left out: the server was stopped while it wrote that line. When
    a resumed run wrote a round twice, the later record holds.

    Args:
        path: ``rounds.jsonl``; each line is a JSON object with ``round``, ``seconds``,
            ``bytes_up``, ``bytes_down``, ``contributors``, ``refused`` and ``validation``.

    Raises:
        ConfigError: the file is missing or a line before the last is not a record.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found; check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; take it from the run again") from None
    records: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = _checked(json.loads(line))
            records[int(record["round"])] = record
        except (ValueError, TypeError, KeyError, AttributeError):
            if number < len(lines):
                raise ConfigError(
                    f"{path}, line {number}: not a round's record; take it from the run again"
                ) from None
    return [records[number] for number in sorted(records)]


def _checked(record: Any) -> dict[str, Any]:
    """The record, if what reports look into has the form that the server writes.

    Raises:
        ValueError, TypeError, KeyError: it is not a record.
    """
    for key in ("contributors", "refused", "missing", "notes"):
        if not isinstance(record.get(key), list | None):
            raise TypeError(key)
    sites = [*(record.get("contributors") or []), *(record.get("refused") or [])]
    if not all(isinstance(own, dict) for own in [*sites, record.get("validation") or {}]):
        raise TypeError("sites")
    return dict(record)
