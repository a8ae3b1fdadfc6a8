"""Checks of the machine: GPU, memory, disk, clock."""

import datetime as dt
import math
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.memory import GIB

if TYPE_CHECKING:  # people who do not train have no PyTorch
    import torch

DISK_GIB, RAM_GIB, GPU_GIB = 10.0, 6.0, 8.0
"""Asked for where nothing was measured."""
CASES_FACTOR, RAM_FACTOR, GPU_FACTOR = 1.1, 1.5, 1.25
"""The sample may hold smaller cases than the rest."""
DISK_MARGIN = 1.0 * GIB
"""Logs, results and FLARE's own files."""
RAM_MARGIN = 1.0 * GIB
"""FLARE's two processes and the messages with the weights."""
SHM_GIB = 1.0
TESTED_PYTHON = ((3, 11),)
"""The versions with which the tests run; others may work."""
CLOCK_SLACK = dt.timedelta(minutes=5)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Is this a Python with which the tests run? An older one cannot install fedvox.

    Args:
        version: of the interpreter.
    """
    own = ".".join(map(str, version))
    if version[:2] in TESTED_PYTHON:
        return passed("python", own)
    tested = ", ".join(".".join(map(str, known)) for known in TESTED_PYTHON)
    return Finding(
        "python",
        WARN,
        f"{own}; fedvox is tested with {tested}",
        f"take Python {tested}, or run one round of the job here first",
    )


def existing(path: Path) -> Path:
    """The path itself or its nearest existing parent."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


@dataclass(frozen=True)
class Requirements:
    """Bytes that the job takes here, as measured; None where nothing was measured.

    Attributes:
        ram: largest resident memory of a process that prepares cases and trains.
        gpu: GPU memory of a round; 0 where training does not use one.
        cases: prepared cases that are still to be written.
        state: models and optimiser state on disk.
    """

    ram: float | None = None
    gpu: float | None = None
    cases: float | None = None
    state: float = 0.0


def check_disk(folders: Sequence[Path], store: Path, needs: Requirements) -> Finding:
    """Free space where kit and results lie and where prepared cases go.

    Args:
        folders: all of them.
        store: the one that takes prepared cases and state.
        needs: what the job takes; not measured, 10 GiB are asked for in each folder.
    """
    findings = []
    for folder in folders:
        free = shutil.disk_usage(existing(folder)).free
        if needs.cases is None:
            wanted = DISK_GIB * GIB
            text = f"{DISK_GIB:g} GiB asked for, as no job was measured"
        elif folder == store:
            # A file is written whole before it replaces its predecessor.
            wanted = needs.cases * CASES_FACTOR + 2 * needs.state + DISK_MARGIN
            cases = f"prepared cases need about {size(needs.cases * CASES_FACTOR)}"
            cases = cases if needs.cases else "all cases lie prepared"
            text = f"{cases}, with models, logs and results {size(wanted)}"
        else:
            wanted, text = DISK_MARGIN, f"logs and results need {size(DISK_MARGIN)}"
        findings.append((free - wanted, f"{free / GIB:.1f} GiB free, {text}"))
    left, message = min(findings)
    if left < 0:
        remedy = "make room, or name a larger 'cache' in the site file"
        return Finding("disk", FAIL, message, remedy)
    return passed("disk", message)


def size(count: float) -> str:
    """Bytes for people: ``3 MiB``, ``0.4 GiB``, ``12 GiB``."""
    if count < 0.1 * GIB:
        return f"{math.ceil(count / 2**20)} MiB"
    return f"{count / GIB:.1f} GiB" if count < 10 * GIB else f"{count / GIB:.0f} GiB"


def check_ram(free: float, needs: Requirements) -> Finding:
    """Does a round fit into the memory?

    Args:
        free: from :func:`free_memory`, before anything was measured.
        needs: what the job takes; not measured, 6 GiB are asked for.
    """
    if needs.ram is None:
        wanted = RAM_GIB * GIB
        text = f"{RAM_GIB:g} GiB asked for, as no round was measured"
    else:
        wanted = needs.ram * RAM_FACTOR + RAM_MARGIN
        text = f"training needs about {size(wanted)}"
    message = f"{free / GIB:.1f} GiB available, {text}"
    if free < wanted:
        return Finding(
            "ram",
            FAIL,
            message,
            "close other programs, raise the container's memory limit or take a larger machine",
        )
    return passed("ram", message)


def check_shm(folder: Path = Path("/dev/shm"), need_gib: float = SHM_GIB) -> Finding:
    """Shared memory; containers get 64 MiB unless told otherwise."""
    if not folder.is_dir():
        return passed("shm", "this system has no /dev/shm")
    size = shutil.disk_usage(folder).total / GIB
    if size < need_gib:
        return Finding(
            "shm",
            WARN,
            f"/dev/shm holds {size * 1024:.0f} MiB",
            "start the container with --shm-size=2g",
        )
    return passed("shm", f"/dev/shm holds {size:.1f} GiB")


def check_torch(trains: bool) -> Finding:
    """What a machine without PyTorch is good for.

    Args:
        trains: it holds the kit of a site or of the server, which both need PyTorch.
    """
    message = "PyTorch is not installed here, so nothing can be trained or predicted"
    if trains:
        return Finding("gpu", FAIL, message, "pip install -r requirements.txt in the checkout")
    return Finding(
        "gpu", WARN, message, "right for an operator, lead or member; a site needs requirements.txt"
    )


def check_gpu(wanted: str, needs: Requirements) -> Finding:
    """Is a GPU usable, and does a round fit into what is free of its memory?

    Of several GPUs it looks at the one that training takes.

    Args:
        wanted: the job's ``training.device``: ``auto``, ``cpu`` or ``cuda``.
        needs: what the job takes; not measured, 8 GiB are asked for.
    """
    import torch

    from fedvox.job.device import choose_device

    if wanted == "cuda" and not torch.cuda.is_available():
        return Finding("gpu", FAIL, "the job asks for a GPU and none is usable", _GPU_REMEDY)
    device = choose_device(wanted)
    if device.type == "cpu":
        return passed("gpu", f"not used; training runs on {os.cpu_count()} CPU cores")
    use_gpu(device)
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device)  # this process gives it back when it ends
    name, count = torch.cuda.get_device_name(device), torch.cuda.device_count()
    if count > 1:
        name += f" (GPU {torch.cuda.current_device()}, the only one of {count} that training uses)"
    if needs.gpu:
        limit = needs.gpu * GPU_FACTOR
        text = f"training needs about {size(limit)}"
    else:
        limit, text = GPU_GIB * GIB, f"{GPU_GIB:g} GiB asked for, as no round was measured"
    message = f"{name}: {free / GIB:.1f} of {total / GIB:.1f} GiB free, {text}"
    if free >= limit:
        return passed("gpu", message)
    other = ", choose another with CUDA_VISIBLE_DEVICES" if count > 1 else ""
    return Finding(
        "gpu",
        WARN,
        message,
        f"end the other programs on it{other} or ask for a job with a smaller patch",
    )


def use_gpu(device: "torch.device") -> None:
    """Computes something there: a driver that is too old fails at its first use, not before."""
    import torch

    torch.ones(8, device=device).sum().item()


def check_clock(
    reference: list[tuple[str, dt.datetime]], now: dt.datetime | None = None
) -> Finding:
    """A clock that runs behind the making of the kit is wrong, and TLS fails with it.

    Args:
        reference: what must lie in the past, with its time.
        now: this machine's time.
    """
    now = now or dt.datetime.now(dt.UTC)
    for name, moment in reference:
        if moment > now + CLOCK_SLACK:
            return Finding(
                "clock",
                FAIL,
                f"this machine says {now:%Y-%m-%d %H:%M} UTC, {name} is from "
                f"{moment:%Y-%m-%d %H:%M} UTC",
                "set the clock, best by NTP (timedatectl set-ntp true)",
            )
    return passed("clock", f"{now:%Y-%m-%d %H:%M} UTC")


_GPU_REMEDY = "install the driver, give the container the GPU, or set training.device to auto"
