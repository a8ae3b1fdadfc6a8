"""Ends every process of a federation on this machine once the command that started it is gone.

All processes of one federation carry its mark in their environment, grandchildren and restarted
ones too. The guard runs in a session of its own, so Ctrl-C does not reach it, and holds the reading
end of a pipe: when the other end closes, because the command ended or was killed, it ends them.
"""

import os
import select
import signal
import subprocess
import sys
import time

import psutil

MARK = "FEDVOX_LOOPBACK"
PATIENCE = 2.0
"""Seconds between asking processes to end and ending them."""
NOBODY = 1
"""Process id in place of the caller's, who is not watched."""
ROUNDS = 10
"""How often processes that do not end are killed again."""


def start_guard(mark: str) -> "subprocess.Popen[bytes]":
    """Starts the guard; closing its ``stdin`` makes it clean up and end.

    It also does when the process ends that called the command, such as make or a shell; not under
    ``nohup``, which is for commands that go on without their shell.

    Args:
        mark: value of the environment variable ``FEDVOX_LOOPBACK`` of the processes to end.
    """
    # nohup: the command shall outlive the shell that started it
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    caller = NOBODY if outlives else os.getppid()
    command = [sys.executable, "-m", "fedvox.flare.loopback.guard", mark, str(caller)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def marked(mark: str) -> list[psutil.Process]:
    """Living processes that carry the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or not ours to look at
    return found


def end_all(mark: str) -> int:
    """Ends all processes with the mark and waits until none is left.

    Returns:
        How many there were at first.
    """
    first = marked(mark)
    for process in first:
        _signal(process, "terminate")
    psutil.wait_procs(first, timeout=PATIENCE)
    for _ in range(ROUNDS):
        left = marked(mark)
        if not left:
            break
        for process in left:
            _signal(process, "kill")
        psutil.wait_procs(left, timeout=PATIENCE)
    return len(first)


def _signal(process: psutil.Process, action: str) -> None:
    try:
        getattr(process, action)()
    except psutil.Error:
        return  # ended meanwhile, or not ours to end


def main() -> int:
    """Waits until the pipe closes or the caller's caller (make, a shell) ends, then cleans up."""
    mark, caller = sys.argv[1], int(sys.argv[2])
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.5)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
        if caller > NOBODY and not psutil.pid_exists(caller):
            break
    deadline = time.monotonic() + 1.0
    while end_all(mark) or time.monotonic() < deadline:
        time.sleep(0.2)  # a process that was just being started shows up now
    return 0


if __name__ == "__main__":
    sys.exit(main())
