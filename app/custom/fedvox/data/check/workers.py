"""Reads cases in parallel processes, with a progress bar."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from fedvox.errors import DataError

T = TypeVar("T")

WORKER_BYTES = 2 * 2**30
"""What reading a CT of 512 x 512 x 600 voxels stays below."""


def run_all(
    tasks: Sequence[tuple[Callable[..., T], tuple[object, ...]]], workers: int, progress: bool
) -> list[T]:
    """Calls functions in fresh processes, in this one for a single worker.

    Args:
        tasks: function and arguments; both must pickle.
        workers: number of processes.
        progress: shows a bar on a terminal.

    Returns:
        The results in the order of the tasks.

    Raises:
        DataError: a process died, most often since memory ran out.
    """
    from tqdm import tqdm

    bar = tqdm(total=len(tasks), desc="checking cases", disable=None if progress else True)
    with bar:
        if workers == 1 or len(tasks) < 2:
            results = []
            for function, arguments in tasks:
                results.append(function(*arguments))
                bar.update()
            return results
        # Not forked: torch and its threads in the parent would come along, and their memory.
        context = multiprocessing.get_context("spawn")
        count = min(workers, len(tasks))
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_leave_ctrl_c_to_parent)
        try:
            futures = [pool.submit(function, *arguments) for function, arguments in tasks]
            for future in futures:
                future.add_done_callback(lambda _: bar.update())
            return [_result(future, count) for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def default_workers(free: float) -> int:
    """One worker per core that this process may use, as far as memory goes.

    Args:
        free: bytes of free memory.
    """
    return max(1, min(len(os.sched_getaffinity(0)), int(free / WORKER_BYTES)))


def _result(future: "Future[T]", workers: int) -> T:
    try:
        return future.result()
    except BrokenProcessPool:
        raise DataError(
            "a process that read a case was killed, most often since memory ran out; "
            f"give --workers below {workers}"
        ) from None


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
