"""Faults against a live federation on this machine: none of them must hurt.

Builds real start-up kits, starts a server and three sites over mTLS, submits a job of half a minute
again and again, and plays one fault at each: processes killed or stopped, a link cut, a full disk,
a hospital that lies, strangers at the door. A line per fault says how the job ended, a table at the
end how often and what it cost. What has passed stands in --out and is not repeated as long as the
code is the same, so a long drill may be stopped and started again.

Examples:
    python poc/drill.py --list
    python poc/drill.py --only kill_site_job,kill_server --times 1
    python poc/drill.py --only bad_updates,access
    python poc/drill.py --without disk_full    # which needs root
    python poc/drill.py --times 20 --out runs/drill
"""

import argparse
import dataclasses
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drills.access import access
from drills.disk import disk_full
from drills.for_good import dies_for_good
from drills.poisoned import poisoned_case
from drills.policy import broken_policy
from drills.processes import PROCESSES, Drill
from drills.stage import Ended, Stage
from drills.updates import bad_updates
from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.loopback.dry_run import exit_code, work_folder

ROOT = Path(__file__).parents[1]
RESULTS = "drill.jsonl"
DRILLS: dict[str, Drill] = {
    **PROCESSES,
    "disk_full": disk_full,
    "bad_updates": bad_updates,
    "broken_policy": broken_policy,
    "poisoned_case": poisoned_case,
    "dies_for_good": dies_for_good,
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
    parser.add_argument("--without", metavar="A,B", default="", help="drills to leave out")
    args = parser.parse_args()
    if args.list:
        print("\n".join(DRILLS))
        return 0
    return exit_code("drill", lambda: run(chosen(args.only, args.without), args.times, args.out))


def chosen(only: str | None, without: str) -> list[str]:
    """The drills that the command line asks for.

    Raises:
        ConfigError: there is no such drill.
    """
    names = list(DRILLS) if only is None else only.split(",")
    left_out = without.split(",") if without else []
    unknown = [name for name in (*names, *left_out) if name not in DRILLS]
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: no such drill; --list names them")
    return [name for name in names if name not in left_out]


def run(names: Sequence[str], times: int, out: Path) -> None:
    """Plays what has not passed yet with the code as it is.

    Raises:
        FedVoxError: a drill failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    path, code = out / RESULTS, code_hash()
    done = kept(path, code)
    passed = {key for key, entry in done.items() if entry["passed"]}
    left = [(name, seed) for seed in range(times) for name in names if (name, seed) not in passed]
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
                entry = {
                    "drill": name,
                    "seed": seed,
                    "code": code,
                    **played(name, stage, seed, plain),
                }
                done[name, seed] = entry
                with path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
                print(f"  {entry}", flush=True)
    print(table([*done.values()]))
    print(json.dumps(figures([*done.values()])))
    failed = [entry for entry in done.values() if not entry["passed"]]
    if failed:
        raise FedVoxError(
            f"{len(failed)} of {len(done)} drills failed; their lines in {path} say what happened, "
            "the same command plays them again"
        )


def played(name: str, stage: Stage, seed: int, plain: Ended) -> Mapping[str, Any]:
    """What came of a drill; one that cannot be played, or whose job hangs, has failed."""
    try:
        return DRILLS[name](stage, seed, plain)
    except FedVoxError as error:
        return {"what": str(error), "passed": False}


def kept(path: Path, code: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The last line of each drill and seed, of those that were played with this code."""
    lines = path.read_text().splitlines() if path.is_file() else []
    entries = [json.loads(line) for line in lines]
    return {(e["drill"], e["seed"]): e for e in entries if e.get("code") == code}


def code_hash() -> str:
    """A hash of what is drilled, and of the drills."""
    digest = hashlib.sha256()
    for folder in (
        ROOT / part for part in ("app/custom/fedvox", "jobs", "poc", "provisioning/policies")
    ):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".json"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


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
