"""No process outlives the command that started it, however that command ends."""

import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from fedvox.flare.loopback.guard import MARK, end_all, marked, start_guard

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
CALLER = """
import subprocess, sys, time
from fedvox.flare.loopback.guard import MARK, start_guard
import os
mark = sys.argv[1]
start_guard(mark)
for code in sys.argv[2:]:
    subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: mark},
                     start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def mark():
    value = uuid.uuid4().hex
    yield value
    end_all(value)


def start(mark, code):
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: mark})


def gone(mark, seconds=120.0):
    deadline = time.monotonic() + seconds
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not marked(mark)


def wait_for(mark, count):
    deadline = time.monotonic() + 120
    while len(marked(mark)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_processes_that_ignore_the_request_are_ended_too(mark):
    processes = [start(mark, STUBBORN), start(mark, "import time; time.sleep(600)")]
    wait_for(mark, 2)
    time.sleep(0.3)
    assert end_all(mark) == 2
    assert marked(mark) == []
    assert not any(psutil.pid_exists(process.pid) for process in processes)


def test_other_processes_are_left_alone(mark):
    other = start(uuid.uuid4().hex, "import time; time.sleep(600)")
    try:
        end_all(mark)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_closing_the_pipe_cleans_up(mark):
    guard = start_guard(mark)
    process = start(mark, "import time; time.sleep(600)")
    guard.stdin.close()
    assert guard.wait(timeout=120) == 0
    assert process.wait(timeout=120) != 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_command_leaves_nothing(mark, how):
    command = [sys.executable, "-c", CALLER, mark, STUBBORN, "import time; time.sleep(600)"]
    caller = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Tests that run in the background ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert caller.stdout.readline() == b"ready\n"
    wait_for(mark, 2)
    caller.send_signal(how)
    caller.wait()
    assert gone(mark)
    caller.stdout.close()


@pytest.mark.parametrize(("hang_up", "goes_on"), [(signal.SIG_DFL, False), (signal.SIG_IGN, True)])
def test_a_killed_shell_above_the_command_counts_too_but_not_under_nohup(mark, hang_up, goes_on):
    inner = [sys.executable, "-c", CALLER, mark, "import time; time.sleep(600)"]
    outer = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    shell = subprocess.Popen(
        [sys.executable, "-c", outer, *inner],
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hang_up),
    )
    assert shell.stdout.readline() == b"ready\n"
    wait_for(mark, 1)
    (command,) = psutil.Process(shell.pid).children()
    shell.kill()
    shell.wait()
    try:
        assert gone(mark, seconds=4.0 if goes_on else 120.0) != goes_on
        command.kill()
        assert gone(mark)
    finally:
        shell.stdout.close()
