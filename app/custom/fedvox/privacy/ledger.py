"""What a site has spent on its patients: one line per update that left, over all jobs.

An update leaves after its line is on disk, so a power cut can lose an update and never a line.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fedvox.errors import BudgetSpent, ConfigError
from fedvox.files import PRIVATE, private_folder
from fedvox.privacy.gaussian import spent
from fedvox.privacy.noise_settings import NoiseSettings

LEDGER = "privacy_{site}.jsonl"
"""Name of a site's ledger."""


class Ledger:
    """A site's spending, in a file that several processes may write.

    Args:
        path: made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, settings: NoiseSettings) -> None:
        """Would one more update stay within the budget? Asked before a round is trained.

        Raises:
            BudgetSpent: it would not; nothing is written.
            ConfigError: the ledger cannot be read.
        """
        with self._opened() as file:
            _within([*_noises(file, self.path), settings.noise], settings)

    def spend(self, settings: NoiseSettings, job: str, index: int) -> float:
        """Writes down one more update, before it leaves.

        Args:
            settings: noise, δ and budget.
            job: id of the job.
            index: the round, from 0.

        Returns:
            ε of all updates so far, this one included.

        Raises:
            BudgetSpent: it would be beyond the budget; nothing is written.
            ConfigError: the ledger cannot be read.
        """
        with self._opened() as file:
            noises = _noises(file, self.path)
            epsilon = _within([*noises, settings.noise], settings)
            line = {"job": job, "round": index, "clip": float(settings.clip)}
            line["noise"] = float(settings.noise)
            file.write(json.dumps({**line, "epsilon": epsilon, "delta": settings.delta}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return epsilon

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        """The file, locked against other processes of the site."""
        import fcntl

        private_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(handle, "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _within(noises: list[float], settings: NoiseSettings) -> float:
    epsilon = spent(noises, settings.delta)
    if epsilon > settings.epsilon:
        raise BudgetSpent(
            f"the privacy budget is spent: {len(noises) - 1} updates left, one more would bring "
            f"epsilon to {epsilon:.3g} of {settings.epsilon:g} (delta {settings.delta:g}); raise "
            "'epsilon' in local/privacy.json or the job, or leave the federation"
        )
    return epsilon


def _noises(file: IO[str], path: Path) -> list[float]:
    """The noise of every update that left; a last line that a power cut left open is taken out."""
    file.seek(0)
    text = file.read()
    *whole, open_end = text.split("\n")
    if open_end:
        file.truncate(len(text) - len(open_end))
    noises = []
    for number, line in enumerate(whole, start=1):
        try:
            noise = json.loads(line)["noise"]
            valid = isinstance(noise, float) and 0 < noise < float("inf")
        except (ValueError, TypeError, KeyError):
            valid = False
        if not valid:
            raise ConfigError(
                f"nothing was sent: line {number} of {path.name} is damaged, so nobody knows what "
                "was spent; take the file from a backup"
            )
        noises.append(noise)
    return noises
