"""Bytes of the messages between server and sites, as they were measured."""

import threading
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """Bytes of one site.

    Attributes:
        up: from the site to the server.
        down: from the server to the site.
    """

    up: int = 0
    down: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.up + other.up, self.down + other.down)


class Ledger:
    """Counts messages by task and site until somebody takes the counts; any thread may call."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, Traffic]] = defaultdict(dict)
        self._lock = threading.Lock()

    def add(self, task: str, site: str, traffic: Traffic) -> None:
        """Counts a message.

        Args:
            task: what the message belongs to, such as ``train``.
            site: the site at its other end.
            traffic: its bytes.
        """
        with self._lock:
            own = self._counts[task]
            own[site] = own.get(site, Traffic()) + traffic

    def total(self) -> Traffic:
        """Bytes of all messages that nobody took."""
        with self._lock:
            counts = [traffic for own in self._counts.values() for traffic in own.values()]
        return sum(counts, Traffic())

    def take(self, task: str) -> dict[str, Traffic]:
        """Site -> bytes of a task's messages since they were taken last."""
        with self._lock:
            return self._counts.pop(task, {})
