"""Real processes that end by a signal, by an error and by themselves."""

import logging
import sys
import threading
import time

import pytest
from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.utils.process_utils import spawn_process

from fedvox.flare.restarts.handle import PAUSES, RestartingHandle
from fedvox.flare.restarts.start import FINISHED, RESTARTS, SIGNAL

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
WAITS = "import time; time.sleep(60)"


class Spawner:
    """Starts one program after the other, the last one again and again."""

    def __init__(self, *programs: str) -> None:
        self.programs = list(programs)
        self.changes = []

    def __call__(self, changes):
        program = self.programs[min(len(self.changes), len(self.programs) - 1)]
        self.changes.append(dict(changes))
        return spawn_process([sys.executable, "-c", program], {})


@pytest.fixture
def launch(request):
    """A function that starts a handle; what still runs at the end is ended."""

    def start(spawn, *, outlast=True, progress=lambda: "", pauses=(0.0, 0.0)):
        handle = RestartingHandle(spawn, progress, outlast, logging.getLogger("test"), pauses)
        request.addfinalizer(handle.terminate)
        return handle

    return start


def waiting(handle) -> threading.Thread:
    thread = threading.Thread(target=handle.wait, daemon=True)
    thread.start()
    return thread


def eventually(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_a_signal_ended_is_started_again_and_told_so(launch):
    spawn = Spawner(KILLED, KILLED, "pass")
    handle = launch(spawn)
    handle.wait()
    assert handle.poll() == JobReturnCode.SUCCESS
    assert spawn.changes == [
        {},
        {RESTARTS: "1", SIGNAL: "9"},
        {RESTARTS: "2", SIGNAL: "9"},
    ]


@pytest.mark.parametrize(("program", "code"), [("pass", 0), ("raise SystemExit(1)", 1)])
def test_a_process_that_ended_by_itself_stays_ended(launch, program, code):
    spawn = Spawner(program)
    handle = launch(spawn)
    handle.wait()
    assert (handle.poll(), len(spawn.changes)) == (code, 1)


def test_an_end_is_not_seen_while_a_restart_is_due(launch):
    handle = launch(Spawner(KILLED), pauses=(60.0,))
    thread = waiting(handle)
    eventually(lambda: handle.adapter.poll() is not None)
    assert handle.poll() == JobReturnCode.UNKNOWN
    handle.terminate()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert handle.poll() == JobReturnCode.EXECUTION_ERROR


def test_who_is_ended_on_purpose_is_not_started_again(launch):
    spawn = Spawner(WAITS)
    handle = launch(spawn)
    thread = waiting(handle)
    handle.terminate(heartbeat_cleanup=True)  # as FLARE says it where the server ended the job
    thread.join(timeout=60)
    assert not thread.is_alive() and len(spawn.changes) == 1


def test_after_the_last_try_a_sites_process_is_missed_by_nobody_until_the_job_ends(launch):
    spawn = Spawner(KILLED)
    handle = launch(spawn)
    thread = waiting(handle)
    eventually(lambda: len(spawn.changes) == 3 and handle.adapter.poll() is not None)
    assert handle.poll() == JobReturnCode.UNKNOWN and thread.is_alive()
    handle.terminate()
    thread.join(timeout=60)
    assert not thread.is_alive() and len(spawn.changes) == 3


def test_after_the_last_try_the_servers_process_has_failed(launch):
    spawn = Spawner(KILLED)
    handle = launch(spawn, outlast=False)
    handle.wait()
    assert (handle.poll(), len(spawn.changes)) == (JobReturnCode.EXECUTION_ERROR, 3)


def test_who_is_killed_after_the_run_had_finished_has_ended_well(launch):
    """The sites have gone: a process that began anew would wait for them in vain."""
    spawn = Spawner(KILLED)
    handle = launch(spawn, outlast=False, progress=lambda: FINISHED)
    handle.wait()
    assert (handle.poll(), len(spawn.changes)) == (JobReturnCode.SUCCESS, 1)


def test_progress_begins_the_count_anew(launch):
    spawn = Spawner(KILLED, KILLED, KILLED, KILLED, "pass")
    handle = launch(spawn, outlast=False, progress=lambda: str(len(spawn.changes) // 2))
    handle.wait()
    assert handle.poll() == JobReturnCode.SUCCESS


def test_pauses_grow():
    assert list(PAUSES) == sorted(PAUSES) and PAUSES[-1] > 10 * PAUSES[0]
