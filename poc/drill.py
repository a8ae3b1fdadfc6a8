"""Faults against a live federation on this machine: none of them must hurt.

Builds real start-up kits, starts a server and three sites over mTLS, submits a job of half a minute
again and again, and plays one fault at each: processes killed or stopped, a link cut, a full disk,
a hospital that lies, strangers at the door. A line per fault says how the job ended, a table at the
end how often and what it cost. Finished ones stand in --out and are not repeated, so a long drill
may be stopped and started again.

Examples:
    python poc/drill.py --list
    python poc/drill.py --only kill_site_job,kill_server --times 1
    python poc/drill.py --only bad_updates,access
    python poc/drill.py --times 20 --out runs/drill
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drills.access import access
from drills.disk import disk_full
from drills.processes import PROCESSES, Drill
from drills.stage import Ended, Stage
from drills.updates import bad_updates
from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.loopback.dry_run import exit_code, work_folder

RESULTS = "drill.jsonl"
DRILLS: dict[str, Drill] = {
    **PROCESSES,
    "disk_full": disk_full,
    "bad_updates": bad_updates,
    "access": access,
}
"""By name."""


def main() -> int:
    """Plays the drills; exit code 0 only if all passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="names the drills")
    parser.add_argument("--only", metavar="A,B", help="drills to play (default all)")
    parser.add_argument("--times", type=int, default=1, help="of each drill (default 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/drill"), help="run folder to write")
    args = parser.parse_args()
    if args.list:
        print("\n".join(DRILLS))
        return 0
    return exit_code("drill", lambda: run(_names(args.only), args.times, args.out))


def _names(given: str | None) -> list[str]:
    names = list(DRILLS) if given is None else given.split(",")
    unknown = [name for name in names if name not in DRILLS]
    if unknown:
        raise ConfigError(f"--only {','.join(unknown)}: no such drill; --list names them")
    return names


def run(names: Sequence[str], times: int, out: Path) -> None:
    """Plays what is not done yet.

    Raises:
        FedVoxError: a drill failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / RESULTS
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    played = {(entry["drill"], entry["seed"]) for entry in done}
    left = [(name, seed) for seed in range(times) for name in names if (name, seed) not in played]
    if left:
        with Stage(work_folder(out / "stage")) as stage:
            plain = undisturbed(stage)
            print(
                f"undisturbed: {plain.status} in {plain.seconds:.0f} s, of which "
                f"{plain.trained:.0f} s in rounds",
                flush=True,
            )
            for name, seed in left:
                print(f"{name} {seed}", flush=True)
                entry = {"drill": name, "seed": seed, **DRILLS[name](stage, seed, plain)}
                done.append(entry)
                with path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
                print(f"  {entry}", flush=True)
    failed = [entry for entry in done if not entry["passed"]]
    print(table(done))
    print(json.dumps(figures(done)))
    if failed:
        raise FedVoxError(f"{len(failed)} of {len(done)} drills failed")


def table(done: Sequence[Mapping[str, Any]]) -> str:
    """One line per drill: how often it was played, how often it passed, what it cost."""
    lines = [f"{'drill':16s} {'played':>6s} {'passed':>6s} {'lost s':>7s} {'most':>7s}"]
    for name in dict.fromkeys(entry["drill"] for entry in done):
        own = [entry for entry in done if entry["drill"] == name]
        lost = [entry["lost_seconds"] for entry in own if "lost_seconds" in entry]
        cost = f"{statistics.median(lost):7.1f} {max(lost):7.1f}" if lost else ""
        passed = sum(entry["passed"] for entry in own)
        lines.append(f"{name:16s} {len(own):6d} {passed:6d} {cost}".rstrip())
    return "\n".join(lines)


def figures(done: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many faults of which kind there were, and after how many all was as it should be."""
    kills = [(who, entry["passed"]) for entry in done for who in entry.get("killed", ())]
    lies = [entry for entry in done if "messages" in entry]
    return {
        "drills": len(done),
        "passed": sum(entry["passed"] for entry in done),
        "server_kills": sum(who == "server" for who, _ in kills),
        "server_recovered": sum(who == "server" and passed for who, passed in kills),
        "client_kills": sum(who == "site" for who, _ in kills),
        "client_recovered": sum(who == "site" and passed for who, passed in kills),
        "bad_updates": sum(entry["messages"] for entry in lies),
        "bad_updates_accepted": sum(entry["accepted"] for entry in lies),
    }


def undisturbed(stage: Stage) -> Ended:
    """The job as it ends without a fault.

    Raises:
        FedVoxError: it does not.
    """
    began = time.monotonic()
    job_id = stage.submit()
    stage.await_start(job_id)
    ready = time.monotonic()
    stage.await_round(job_id, stage.rounds)
    trained = time.monotonic() - ready
    ended = dataclasses.replace(stage.await_end(job_id, began), trained=trained)
    if ended.status != "FINISHED:COMPLETED":
        raise FedVoxError(f"the undisturbed job ended as {ended.status}")
    return ended


if __name__ == "__main__":
    sys.exit(main())
