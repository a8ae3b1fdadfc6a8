"""Prepares many cases at the same time, in the order of the list.

Threads share one process: reading, decompressing and resampling release Python's lock, and no
second process has to load PyTorch. What lies in the cache is found without a thread: that takes
less time than handing it over.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from fedvox.data.cases.case import Case
from fedvox.data.cases.prepare import prepare_case
from fedvox.data.cases.prepared import PreparedCase, find_prepared
from fedvox.data.settings import DataSettings
from fedvox.errors import DataError
from fedvox.memory import GIB, free_memory

MEMORY_PER_CASE = 2 * GIB
"""A CT of 512 x 512 x 600 voxels stays below it."""


def count_workers(wanted: int) -> int:
    """How many cases to prepare at the same time.

    Args:
        wanted: ``workers`` of the site file; 0 is as many as cores and free memory allow.
    """
    cores = len(os.sched_getaffinity(0))
    return wanted or max(1, min(cores, int(free_memory() // MEMORY_PER_CASE)))


def prepare_cases(
    cases: Sequence[Case], settings: DataSettings, cache: Path, key: bytes, workers: int
) -> Iterator["Future[PreparedCase]"]:
    """Prepares cases, several at once, and yields them in the order of the list.

    Args:
        cases: from a reader.
        settings: the job's grid and window.
        cache: folder of prepared files.
        key: the site's secret for case codes.
        workers: cases in work at the same time.

    Yields:
        A finished future per case; its result raises what :func:`prepare_case` raised.
    """
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [
            _found(case, settings, cache, key)
            or pool.submit(prepare_case, case, settings, cache, key)
            for case in cases
        ]
        try:
            for future in futures:
                future.exception()  # waits
                yield future
        finally:
            pool.shutdown(cancel_futures=True)


def _found(
    case: Case, settings: DataSettings, cache: Path, key: bytes
) -> "Future[PreparedCase] | None":
    """A finished future of a case in the cache, or with the reason why nobody can look there."""
    future: Future[PreparedCase] = Future()
    try:
        found = find_prepared(case, settings, cache, key)
    except (DataError, OSError) as error:
        future.set_exception(error)
        return future
    if found is None:
        return None
    future.set_result(found)
    return future
