"""Whose answers an open round waits for, and how long."""

import dataclasses
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from fedvox.job.waiting_settings import MOST_SITES, WaitingSettings

LEAST_SECONDS = 60.0
"""A shorter measured wait would leave a site out for one slow disk."""
MEASURED_ROUNDS = 5


class RoundWait:
    """Decides when a round has waited long enough.

    Who was not heard in a round is asked in the next ones too, but these do not wait for it until
    something, however late, came from it.

    Args:
        settings: section ``waiting`` of the job.

    Attributes:
        limit: seconds after its start that the open round waits for a site.
    """

    def __init__(self, settings: WaitingSettings) -> None:
        self.settings = settings
        self.limit = settings.first
        self._targets: list[str] = []
        self._awaited: set[str] = set()
        self._answered: set[str] = set()
        self._started = time.monotonic()
        self._silent: dict[str, tuple[float, float]] = {}
        self._allowed: dict[str, float] = {}

    def open(self, targets: Sequence[str], rounds: Iterable[Mapping[str, Any]]) -> None:
        """Begins a round.

        Args:
            targets: the sites that are asked.
            rounds: records of ``rounds.jsonl`` so far.
        """
        self._targets, self._started, self._answered = list(targets), time.monotonic(), set()
        # where nobody was heard the last time, somebody has to be waited for
        self._awaited = {site for site in targets if site not in self._silent} or set(targets)
        self.limit = measured_limit(rounds, self._awaited, self._allowed, self.settings)

    def hear(self, site: str) -> None:
        """Notes that something came from a site, for whichever round."""
        if site in self._silent:
            since, limit = self._silent.pop(site)
            took = self.settings.margin * (time.monotonic() - since)
            self._allowed[site] = min(took, 2 * limit)

    def answer(self, site: str) -> float:
        """Notes a site's answer to the open round.

        Returns:
            Seconds after the round's start at which it ends if nothing more comes; 0 for never.
        """
        self._answered.add(site)
        if len(self._answered) < min(self.settings.sites, len(self._targets)):
            return 0.0
        passed = max(time.monotonic() - self._started, 1e-3)
        return passed if self._awaited <= self._answered else max(self.limit, passed)

    def close(self) -> list[str]:
        """Ends the round.

        Returns:
            Sites that it waited for in vain, by name.
        """
        for site in self._targets:
            if site not in self._answered:
                self._silent.setdefault(site, (self._started, self.limit))
        return sorted(self._awaited - self._answered)


def patient(settings: WaitingSettings) -> WaitingSettings:
    """For the simulator, whose sites share a machine that may be busy: every site is awaited, so
    that a run repeats, unless the job says how long a round waits.

    Args:
        settings: section ``waiting`` of the job.
    """
    return settings if settings.round else dataclasses.replace(settings, sites=MOST_SITES)


def measured_limit(
    rounds: Iterable[Mapping[str, Any]],
    sites: Collection[str],
    allowed: Mapping[str, float],
    settings: WaitingSettings,
) -> float:
    """Seconds that a round waits for sites.

    Args:
        rounds: records of ``rounds.jsonl``, in which ``answer_seconds`` of a contributor is the
            time from the start of its round.
        sites: that the round waits for.
        allowed: site -> seconds, of those that came late the last time.
        settings: section ``waiting`` of the job.
    """
    if settings.round:
        return settings.round
    times: dict[str, list[float]] = {}
    for record in rounds:
        for part in record.get("contributors") or []:
            if part.get("answer_seconds") is not None:
                times.setdefault(str(part["site"]), []).append(float(part["answer_seconds"]))
    if any(site not in times for site in sites):
        return settings.first
    answers = [max(times[site][-MEASURED_ROUNDS:]) for site in sites]
    late = [allowed.get(site, 0.0) for site in sites]
    return max(LEAST_SECONDS, settings.margin * max(answers, default=0.0), *late, 0.0)
