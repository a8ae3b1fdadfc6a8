"""Memory that this process may take, within the limits of its control groups, and gives back."""

import gc
from pathlib import Path

GIB = 2**30
_settled = False


def settle() -> None:
    """Leaves what lives now out of garbage collections, which so become cheap and frequent; for a
    process that has loaded all it needs.

    Python looks at its oldest objects only once a quarter as many new ones wait. Beside the million
    that torch and FLARE keep for good, reference cycles would wait for hundreds of rounds, with
    FLARE's stream buffers of half a MiB in them. Further calls do nothing.
    """
    global _settled
    if not _settled:
        _settled = True
        gc.collect()
        gc.freeze()
        gc.collect()  # counts what the next full collection is weighed against


def free_memory() -> float:
    """Bytes of memory that processes can have now, and within the container's limit."""
    import psutil

    return float(min(psutil.virtual_memory().available, container_free()))


def container_free(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float:
    """Bytes that the control groups of this process leave to it, infinite without a limit.

    Counts both versions of control groups and every group above. The cache of files not used
    lately does not count as used: the kernel gives it back.

    Args:
        root: where control groups are mounted.
        own: the groups of this process, ``<number>:<controllers>:<path>`` in each line.
    """
    left = [float("inf")]
    for line in own.read_text().splitlines() if own.is_file() else ["0::/", "1:memory:/"]:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.lstrip("/")
        left += [
            _left(folder, *names)
            for folder in (group, *group.parents)
            if folder.is_relative_to(top)
        ]
    return min(left)


def _left(group: Path, limit: str, usage: str, cache: str) -> float:
    """What is free in one control group."""
    text = _text(group / limit)
    if not text.isdigit():
        return float("inf")
    counts = dict(line.split() for line in _text(group / "memory.stat").splitlines())
    used = int(_text(group / usage) or 0) - int(counts.get(cache, 0))
    return float(int(text) - max(used, 0))


def _text(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
