"""What a site has spent on its patients: one line per update that left, over all jobs.

An update leaves after its line is on disk, so a power cut can lose an update and never a line.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fedvox.errors import BudgetSpent, ConfigError
from fedvox.files import PRIVATE, private_folder
from fedvox.privacy.accountant import Spend, spent
from fedvox.privacy.noise_settings import CASE, SITE, NoiseSettings

LEDGER = "privacy_{site}.jsonl"
"""Name of a site's ledger."""


@dataclass(frozen=True)
class Total:
    """What a site has spent.

    Attributes:
        epsilon, delta: the guarantee.
        unit: whom it hides: ``case`` as soon as one update had its noise in the training steps.
    """

    epsilon: float
    delta: float
    unit: str

    def claims(self) -> dict[str, Any]:
        """As an update claims it."""
        return {"epsilon": self.epsilon, "delta": self.delta, "unit": self.unit}


class Ledger:
    """A site's spending, in a file that several processes may write.

    Args:
        path: made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, settings: NoiseSettings, each: Spend) -> None:
        """Would one more update stay within the budget? Asked before a round is trained.

        Args:
            settings: δ and budget.
            each: what the update would cost.

        Raises:
            BudgetSpent: it would not; nothing is written.
            ConfigError: the ledger cannot be read.
        """
        with self._opened() as file:
            _within([*_spends(file, self.path), each], settings)

    def spend(self, settings: NoiseSettings, job: str, index: int, each: Spend) -> Total:
        """Writes down one more update, before it leaves.

        Args:
            settings: clip, δ and budget.
            job: id of the job.
            index: the round, from 0.
            each: what the update costs.

        Returns:
            What all updates so far cost, this one included.

        Raises:
            BudgetSpent: it would be beyond the budget; nothing is written.
            ConfigError: the ledger cannot be read.
        """
        with self._opened() as file:
            total = _within([*_spends(file, self.path), each], settings)
            line = {"job": job, "round": index, "clip": float(settings.clip)}
            line |= {"noise": float(each.noise)}
            if each.rate is not None:
                line |= {"rate": float(each.rate), "steps": each.steps}
            file.write(json.dumps({**line, **total.claims()}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return total

    def entered(self, settings: NoiseSettings, job: str, index: int) -> Total:
        """Looks up an update that got its noise in the training steps.

        Args:
            settings: what it must have had at least.
            job: id of the job.
            index: the round, from 0.

        Returns:
            What all updates so far cost.

        Raises:
            ConfigError: it does not stand there with so much noise and such a clip.
        """
        with self._opened() as file:
            spends = _spends(file, self.path)
            found = any(
                (line["job"], line["round"]) == (job, index)
                and "rate" in line
                and line["noise"] >= settings.noise
                and line["clip"] <= settings.clip
                for line in _lines(file)
            )
        if not found:
            raise ConfigError(
                "the ledger knows of no noise in the steps of this update; nothing was sent"
            )
        return _total(spends, settings)

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        """The file, locked against other processes of the site."""
        import fcntl

        private_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(handle, "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _within(spends: list[Spend], settings: NoiseSettings) -> Total:
    total = _total(spends, settings)
    if total.epsilon > settings.epsilon:
        raise BudgetSpent(
            f"the privacy budget is spent: {len(spends) - 1} updates left, one more would bring "
            f"epsilon to {total.epsilon:.3g} of {settings.epsilon:g} (delta {settings.delta:g}); "
            "raise 'epsilon' in local/privacy.json or the job, or leave the federation"
        )
    return total


def _total(spends: list[Spend], settings: NoiseSettings) -> Total:
    unit = SITE if all(own.rate is None for own in spends) else CASE
    return Total(spent(spends, settings.delta), settings.delta, unit)


def _spends(file: IO[str], path: Path) -> list[Spend]:
    """What every update that left cost; a last line that a power cut left open is taken out."""
    file.seek(0)
    text = file.read()
    *whole, open_end = text.split("\n")
    if open_end:
        file.truncate(len(text) - len(open_end))
    spends = []
    for number, line in enumerate(whole, start=1):
        own = _spend(line)
        if own is None:
            raise ConfigError(
                f"nothing was sent: line {number} of {path.name} is damaged, so nobody knows what "
                "was spent; take the file from a backup"
            )
        spends.append(own)
    return spends


def _spend(line: str) -> Spend | None:
    """What a line says, None where it is damaged."""
    try:
        told = json.loads(line)
        noise, rate, steps = told["noise"], told.get("rate"), told.get("steps", 1)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    whole = isinstance(noise, float) and 0 < noise < float("inf")
    sampled = isinstance(rate, float) and 0 < rate <= 1 and type(steps) is int and steps > 0
    if not whole or not (sampled or (rate is None and steps == 1)):
        return None
    return Spend(noise, rate, steps)


def _lines(file: IO[str]) -> list[dict[str, Any]]:
    """The lines of a ledger that :func:`_spends` has read."""
    file.seek(0)
    return [json.loads(line) for line in file.read().splitlines()]
