"""Checks of the machine: GPU, memory, disk, clock."""

import datetime as dt
import os
import shutil
from pathlib import Path

from fedvox.doctor.finding import FAIL, WARN, Finding, passed

GIB = 2**30
DISK_GIB = 10.0
RAM_GIB = 6.0
SHM_GIB = 1.0
GPU_GIB = 8.0
CLOCK_SLACK = dt.timedelta(minutes=5)


def existing(path: Path) -> Path:
    """The path itself or its nearest existing parent."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def check_disk(folders: list[Path], need_gib: float = DISK_GIB) -> Finding:
    """Free space where kit, cache and results lie."""
    free = min(shutil.disk_usage(existing(folder)).free for folder in folders) / GIB
    if free < need_gib:
        return Finding(
            "disk",
            FAIL,
            f"{free:.1f} GiB free, {need_gib:g} needed",
            "make room, or name a larger 'cache' in the site file",
        )
    return passed("disk", f"{free:.0f} GiB free")


def check_ram(need_gib: float = RAM_GIB) -> Finding:
    """Memory that processes can have now, and within the container's limit."""
    import psutil

    free = min(psutil.virtual_memory().available, container_limit()) / GIB
    if free < need_gib:
        return Finding(
            "ram",
            FAIL,
            f"{free:.1f} GiB available, {need_gib:g} needed",
            "close other programs, raise the container's memory limit or take a larger machine",
        )
    return passed("ram", f"{free:.0f} GiB available")


def container_limit(path: Path = Path("/sys/fs/cgroup/memory.max")) -> float:
    """The control group's memory limit in bytes, infinite without one."""
    text = path.read_text().strip() if path.is_file() else "max"
    return float(text) if text.isdigit() else float("inf")


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


def check_gpu(wanted: str) -> Finding:
    """Is a GPU usable, and how much of its memory is really free?

    Args:
        wanted: the job's ``training.device``: ``auto``, ``cpu`` or ``cuda``.
    """
    import torch

    if wanted == "cpu" or not torch.cuda.is_available():
        if wanted == "cuda":
            return Finding("gpu", FAIL, "the job asks for a GPU and none is usable", _GPU_REMEDY)
        return passed("gpu", f"not used; training runs on {os.cpu_count()} CPU cores")
    torch.ones(8, device="cuda").sum().item()  # a driver too old fails here, not at import
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    if free / GIB < GPU_GIB:
        return Finding(
            "gpu",
            WARN,
            f"{name}: {free / GIB:.1f} of {total / GIB:.1f} GiB free",
            "end the other programs on it or ask for a job with a smaller patch",
        )
    return passed("gpu", f"{name}: {free / GIB:.1f} of {total / GIB:.1f} GiB free")


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
