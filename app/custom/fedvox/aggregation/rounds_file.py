"""``rounds.jsonl``, the record that the server writes after each round."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedvox.errors import ConfigError
from fedvox.files import write_text

MOST_ROUNDS = 10_000
"""As `training.rounds` allows; figures have a place for each round up to the last."""
LONGEST = 20
"""Digits of a whole number, with its sign."""


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
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found; check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; take it from the run again") from None
    records: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _checked(json.loads(line, parse_int=_whole))
            records[record["round"]] = record
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
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
    if not all(isinstance(own.get("site", ""), str) for own in sites):
        raise TypeError("site")
    if type(record["round"]) is not int or not 0 <= record["round"] <= MOST_ROUNDS:
        raise ValueError("round")
    if any((record.get(key) or 0) < 0 for key in ("bytes_up", "bytes_down", "seconds")):
        raise ValueError("a negative number")
    return dict(record)


def _whole(text: str) -> int:
    """A whole number that a float holds; figures would break with a longer one."""
    if len(text) > LONGEST:
        raise ValueError(text[:LONGEST])
    return int(text)
