"""The same work on every section by one thread or several, with the same results."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


MOST = 8
"""More threads wait for memory."""


def usable_threads() -> int:
    """How many threads compress in a process of a federation: as many as it has cores, at most 8.

    A job's ``training.threads`` says something else: on a CPU its numbers depend on it.
    """
    return min(MOST, len(os.sched_getaffinity(0)))


def each(work: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``[work(item) for item in items]``; numpy and zlib let other threads run meanwhile.

    Args:
        work: draws no random number and keeps no state that depends on the order.
        items: in the order of the result.
        threads: at most so many at a time.
    """
    if threads <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
