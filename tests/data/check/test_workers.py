import os
import signal
import subprocess
import sys

import pytest

from fedvox.data.check.workers import run_all
from fedvox.errors import DataError


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def exhaust(number: int) -> None:
    raise MemoryError


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_tasks(workers):
    results = run_all([(double, (number,)) for number in range(5)], workers, False)
    assert [value for value, _ in results] == [0, 2, 4, 6, 8]
    assert all((process == os.getpid()) == (workers == 1) for _, process in results)


def test_no_task_needs_no_process():
    assert run_all([], 4, True) == []


def test_a_killed_process_is_one_line_with_a_remedy():
    with pytest.raises(DataError, match=r"was killed; give --workers below 2"):
        run_all([(die, (number,)) for number in range(3)], 2, False)


@pytest.mark.parametrize(
    ("workers", "remedy"), [(1, "take a larger machine"), (2, "give --workers below 2")]
)
def test_memory_that_runs_out_stops_the_check_and_blames_no_case(workers, remedy):
    with pytest.raises(DataError, match=f"ran out of memory or was killed; {remedy}"):
        run_all([(exhaust, (number,)) for number in range(2)], workers, False)


def test_a_worker_loads_no_torch():
    code = "import sys, fedvox.data.check.case; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
