"""Reads cases in parallel processes, with a progress bar."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from fedvox.errors import DataError

T = TypeVar("T")


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
        DataError: memory ran out or a process died.
    """
    from tqdm import tqdm

    count = max(1, min(workers, len(tasks)))
    bar = tqdm(total=len(tasks), desc="checking cases", disable=None if progress else True)
    with bar:
        try:
            if count == 1:
                return [_done(function(*arguments), bar.update) for function, arguments in tasks]
            return _in_processes(tasks, count, bar.update)
        except (BrokenProcessPool, MemoryError):
            raise DataError(
                "a process that read a case ran out of memory or was killed; "
                + (f"give --workers below {count}" if count > 1 else "take a larger machine")
            ) from None


def _in_processes(
    tasks: Sequence[tuple[Callable[..., T], tuple[object, ...]]],
    count: int,
    tell: Callable[[], object],
) -> list[T]:
    # Not forked: torch and its threads in the parent would come along, and their memory.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_leave_ctrl_c_to_parent)
    try:
        futures = [pool.submit(function, *arguments) for function, arguments in tasks]
        for future in futures:
            future.add_done_callback(lambda _: tell())
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _done(result: T, tell: Callable[[], object]) -> T:
    tell()
    return result


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
