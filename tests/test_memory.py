"""Free memory is what the control groups leave, not what the machine has."""

import subprocess
import sys
from pathlib import Path

import pytest

from fedvox import memory
from fedvox.memory import GIB

LIMIT, USED, CACHE = 8 * GIB, 5 * GIB, 2 * GIB


def group(folder: Path, version: int, limit: object = LIMIT, used: int = USED) -> None:
    """Writes the files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {CACHE}\n")


@pytest.mark.parametrize(
    ("version", "folder", "own"),
    [
        (2, ".", "0::/"),
        (2, "slurm/job_7", "0::/slurm/job_7/step_0"),
        (1, "memory", "9:cpu,cpuacct:/x\n4:memory:/docker/4711"),
        (1, "memory/slurm", "4:hugetlb,memory:/slurm"),
    ],
)
def test_memory_in_a_container_is_its_limit_less_what_it_uses(tmp_path, version, folder, own):
    """A container does not always see its own path; a limit may stand in a group above."""
    group(tmp_path / "cgroup" / folder, version)
    (tmp_path / "own").write_text(own)
    free = memory.container_free(tmp_path / "cgroup", tmp_path / "own")
    assert free == LIMIT - (USED - CACHE)


def test_without_a_limit_the_containers_memory_is_the_machines(tmp_path):
    group(tmp_path / "cgroup", 2, limit="max")
    (tmp_path / "own").write_text("0::/")
    assert memory.container_free(tmp_path / "cgroup", tmp_path / "own") == float("inf")
    assert memory.container_free(tmp_path / "none", tmp_path / "none") == float("inf")


def test_free_memory_counts_the_containers_limit(monkeypatch):
    monkeypatch.setattr(memory, "container_free", lambda: 3.0)
    assert memory.free_memory() == 3.0


CYCLES = """
import gc, sys
from collections import deque
from fedvox import memory

class Node:
    alive = 0
    def __init__(self):
        self.own = self
        Node.alive += 1
    def __del__(self):
        Node.alive -= 1

kept = [[] for _ in range(2_000_000)]
gc.collect()
if sys.argv[1] == "settled":
    memory.settle()
    memory.settle()
most, young = 0, deque(maxlen=20_000)  # old by the time that they are let go
for _ in range(400_000):
    young.append(Node())
    most = max(most, Node.alive)
print(most)
"""


def test_a_settled_process_frees_cycles_soon_whatever_it_keeps():
    """So that a long run's memory does not grow by what waits for a full collection."""
    most = {
        how: int(subprocess.check_output([sys.executable, "-c", CYCLES, how]))
        for how in ("settled", "as it is")
    }
    assert most["settled"] * 2 < most["as it is"]
