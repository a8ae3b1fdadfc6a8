"""The same work on every section by one thread or several, with the same results."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
