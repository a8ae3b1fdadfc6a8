"""Whether a long run keeps its memory and its files: many rounds of a small job over mTLS.

Runs poc/dry_run.py, whose server and sites are real processes, and looks at each of them every
second: resident memory and open files. `slope` is the growth of memory over the second half of the
rounds, by least squares, in KiB per round. An hour of a federation whose rounds take five minutes
has twelve of them: `mb_per_hour` is the largest slope times twelve. With --sites many sites train
for a few rounds instead, and the proportional set size of all processes together, which counts
shared pages once, says how much memory they take.

Example:
    python benchmarks/soak.py
    python benchmarks/soak.py --rounds 1000 --out runs/soak
    python benchmarks/soak.py --sites 32 --rounds 2
    python benchmarks/soak.py --quick
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from cells import SMALLEST

ROOT = Path(__file__).parents[1]
SMALL = (
    *SMALLEST,
    "network.channels=[4,8]",
    "training.steps=2",
    "training.device=cpu",
    "evaluation.site_models=false",
)
PARTS = {
    "server_train": "server",
    "client_train": "site",
    "runner_process": "server's job",
    "worker_process": "site's job",
}
"""What FLARE runs in a process -> what it is."""
ROUNDS_AN_HOUR = 12


@dataclass
class Looks:
    """What was seen of the processes of a run.

    Attributes:
        folder: in whose kits they work.
        rounds: that were finished so far.
        seen: process -> (finished rounds, resident bytes, open files) of each look.
        largest: proportional set size of all of them, in bytes, at its largest.
    """

    folder: Path
    rounds: int = 0
    seen: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    largest: int = 0

    def look(self) -> None:
        """Adds one look at every process that works in the folder."""
        together = 0
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            name = _name(command, self.folder)
            if name is None:
                continue
            try:
                memory, files = process.memory_full_info(), process.num_fds()
            except psutil.Error:  # it has just ended
                continue
            together += memory.pss
            self.seen.setdefault(f"{name} {process.pid}", []).append(
                (self.rounds, memory.rss, files)
            )
        self.largest = max(self.largest, together)

    def write(self, path: Path) -> None:
        """Writes every look as a row, for plots."""
        rows = [(name, *look) for name, seen in sorted(self.seen.items()) for look in seen]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("process", "rounds", "bytes", "files"), *rows])

    def follow(self, end: threading.Event) -> None:
        """Looks every second until the end."""
        while not end.wait(1.0):
            self.look()


def _name(command: Sequence[str], folder: Path) -> str | None:
    """Which part of the federation a process is, None for any other process."""
    module = next((part for word in command for part in PARTS if word.endswith(part)), None)
    place = next((word for word in command if word.startswith(f"{folder}/")), None)
    if module is None or place is None:
        return None
    site = Path(place).relative_to(folder)
    return f"{PARTS[module]} {next((p for p in site.parts if p.startswith('site-')), '')}".strip()


def slope(looks: Sequence[tuple[int, int, int]], rounds: int) -> float:
    """Growth of memory over the second half of the rounds, in bytes per round.

    Args:
        looks: (finished rounds, resident bytes, open files).
        rounds: of the run.
    """
    late = [(done, memory) for done, memory, _ in looks if rounds / 2 <= done < rounds]
    if len({done for done, _ in late}) < 2:
        return 0.0
    done, memory = np.array(late, dtype=np.float64).T
    return float(np.polyfit(done, memory, 1)[0])


def run(modalities: str, rounds: int, out: Path, overrides: Sequence[str]) -> Looks:
    """Runs the federation and looks at it.

    Args:
        modalities: of the sites, with commas between them.
        rounds: of training.
        out: the run's folder.
        overrides: changes to the job's settings.
    """
    command = [sys.executable, "-u", "poc/dry_run.py", "--sites", modalities]
    command += ["--out", str(out.resolve())]
    for change in (*SMALL, f"training.rounds={rounds}", *overrides):
        command += ["--set", change]
    own = out.resolve()
    looks, end = Looks(own.parent / ".work" / own.name), threading.Event()  # of dry_run.py
    follower = threading.Thread(target=looks.follow, args=(end,), daemon=True)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        follower.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("round ") and line.rstrip().endswith("is done"):
                looks.rounds = int(line.split()[1])
                if looks.rounds % max(1, rounds // 20):
                    continue
            print(line, end="", flush=True)
    end.set()
    follower.join()
    if process.returncode:
        sys.exit(process.returncode)
    return looks


def report(looks: Looks, rounds: int, seconds: float) -> dict[str, Any]:
    """Prints a line per process and gives the figures."""
    print(f"\n{'process':22s} {'MiB first':>9s} {'last':>7s} {'KiB/round':>10s}  files")
    slopes, files = [0.0], []
    for name, seen in sorted(looks.seen.items()):
        training = [own for own in seen if own[0] < rounds]
        late = [own for own in training if own[0] >= rounds / 2] or training
        if len(training) < 2:
            continue
        slopes.append(slope(seen, rounds))
        counts = [own[2] for own in late]
        files.append(max(counts) - statistics.median(counts))
        print(
            f"{name:22s} {late[0][1] / 2**20:9.1f} {late[-1][1] / 2**20:7.1f} "
            f"{slopes[-1] / 2**10:10.2f}  {min(counts)} to {max(counts)}"
        )
    return {
        "rounds": rounds,
        "seconds_per_round": round(seconds / rounds, 2),
        "kib_per_round": round(max(slopes) / 2**10, 3),
        "mb_per_hour": round(max(slopes) * ROUNDS_AN_HOUR / 1e6, 3),
        "files_grown": max(files, default=0),
        "together_gib": round(looks.largest / 2**30, 2),
    }


def main() -> int:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="of training (default 300)")
    parser.add_argument("--sites", type=int, default=2, help="how many (default 2)")
    parser.add_argument("--out", type=Path, help="keeps the run and soak.csv (default: nothing)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true", help="two sites, three rounds")
    args = parser.parse_args()
    rounds, count = (3, 2) if args.quick else (args.rounds, args.sites)
    modalities = ",".join("ct" if index % 2 == 0 else "mr" for index in range(count))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        looks = run(modalities, rounds, args.out or Path(folder) / "run", args.set)
        figures: Mapping[str, Any] = report(looks, rounds, time.monotonic() - start)
    if args.out:
        looks.write(args.out / "soak.csv")
    print(json.dumps({"sites": count, **figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
