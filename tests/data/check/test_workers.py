import os
import signal
import subprocess
import sys

import pytest

from fedvox.data.check.workers import run_all
from fedvox.errors import DataError


@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_tasks(workers):
    assert run_all([(pow, (number, 2)) for number in range(5)], workers, False) == [0, 1, 4, 9, 16]
    processes = run_all([(os.getpid, ())] * 3, workers, False)
    assert all((process == os.getpid()) == (workers == 1) for process in processes)


def test_no_task_needs_no_process():
    assert run_all([], 4, True) == []


def test_a_killed_process_is_one_line_with_a_remedy():
    with pytest.raises(DataError, match=r"was killed; give --workers below 2"):
        run_all([(signal.raise_signal, (signal.SIGKILL,))] * 3, 2, False)


@pytest.mark.parametrize(
    ("workers", "remedy"), [(1, "take a larger machine"), (2, "give --workers below 2")]
)
def test_memory_that_runs_out_stops_the_check_and_blames_no_case(workers, remedy):
    with pytest.raises(DataError, match=f"ran out of memory or was killed; {remedy}"):
        run_all([(bytes, (2**62,))] * 2, workers, False)


def test_a_worker_loads_no_torch():
    code = "import sys, fedvox.data.check.case; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
