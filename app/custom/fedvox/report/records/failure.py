"""``failure.json``: why a run failed, where and in which round, in the run's own results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.files import write_json

FAILURE = "failure.json"


@dataclass(frozen=True)
class Failure:
    """Why a run ended before its end.

    Attributes:
        stage: ``start``, ``training``, ``evaluation``, ``results`` or ``plan``.
        round: the round that was open, from 0 as in ``rounds.jsonl``; None outside training.
        sites: names of the sites that the reason speaks of; may be empty.
        reason: one line: what happened, and the remedy where there is one.
    """

    stage: str
    round: int | None
    sites: tuple[str, ...]
    reason: str

    @property
    def text(self) -> str:
        """One line for the console and the page."""
        place = self.stage if self.round is None else f"{self.stage}, round {self.round + 1}"
        return f"the run failed ({place}): {self.reason}"


def write_failure(folder: Path, failure: Failure) -> None:
    """Writes ``failure.json`` into the run's folder."""
    write_json(folder / FAILURE, {**asdict(failure), "sites": list(failure.sites)})


def read_failure(folder: Path) -> Failure | None:
    """Reads ``failure.json``, None where the run did not fail.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / FAILURE
    if not path.is_file():
        return None
    content: Mapping[str, Any] = read_json(path)
    number = content.get("round")
    return Failure(
        str(content.get("stage", "")),
        number if isinstance(number, int) else None,
        tuple(map(str, content.get("sites") or ())),
        str(content.get("reason", "no reason on record")),
    )
