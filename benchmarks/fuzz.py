"""Inputs that nobody thought of, at every door: taken, or refused in the project's own words.

Sound things are changed at random by hypothesis: bytes of messages and scans, fields of DICOM
headers, values and keys of JSON, parts of what sites send to the server. Each input must be
accepted, and then hold what the door promises, or refused by an error of `fedvox.errors`; any other
error, more than 4 GiB of memory or a message that names a patient is a crash. What crashes is made
as small as it goes and printed. `slowest_s` is the longest that one input took.

    codec      compressed updates
    messages   updates, registrations, reports, models, statistics and events, at the server
    site       fedvox_site.json
    job        training.json and --set
    lists      label tables, dataset.json and split files beside the scans
    nifti      images and labels
    dicom      series

Example:
    python benchmarks/fuzz.py
    python benchmarks/fuzz.py --only codec,job --times 2000 --seed 7
    python benchmarks/fuzz.py --quick
"""

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fuzzing.door import Door

BATCH = 5000
"""Inputs after which hypothesis begins anew, since it remembers all of them."""
MEMORY = 4 * 2**30


def doors() -> Mapping[str, Callable[[Path], Door]]:
    """Name -> what makes the door in a folder."""
    from fuzzing.codec import codec
    from fuzzing.images import dicom, nifti
    from fuzzing.messages import site_messages
    from fuzzing.settings import job, lists, site_file

    return {
        "codec": codec,
        "messages": site_messages,
        "site": site_file,
        "job": job,
        "lists": lists,
        "nifti": nifti,
        "dicom": dicom,
    }


class Tally:
    """What became of the inputs of one door."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0

    def take(self, door: Door, value: Any) -> None:
        """Lets one in.

        Raises:
            Exception: it crashed.
        """
        start = time.perf_counter()
        outcome = "accepted" if door.enter(value) else "refused"
        self.slowest = max(self.slowest, time.perf_counter() - start)
        self.outcomes[outcome] += 1


def play(door: Door, times: int, seed: int, name: str) -> tuple[Tally, list[str]]:
    """Lets so many inputs in.

    Returns:
        The tally, and each crash in words.
    """
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    tally, crashes = Tally(), []
    bar = tqdm(total=times, desc=name, disable=None, smoothing=0)
    for batch in range(0, times, BATCH):

        @seeded(seed * 1_000_003 + batch)
        @settings(
            max_examples=min(BATCH, times - batch),
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(door.inputs)
        def one(value: Any) -> None:
            tally.take(door, value)
            bar.update()

        try:
            one()
        except Exception as error:
            crashes.append(f"{name}: {_told(error)}")
    bar.close()
    return tally, crashes


def _told(error: BaseException) -> str:
    """What, where, and for which input."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    notes = " ".join(getattr(error, "__notes__", ()))
    place = f"{Path(last.filename).name}:{last.lineno}"
    return f"{type(error).__name__} at {place} ({last.line}): {error} {notes}"


def limit_memory(more: int) -> None:
    """From now on this process may take so many bytes of addresses beside those that it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> int:
    """Plays, prints crashes and the figures; 1 where something crashed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=100_000, help="inputs per door")
    parser.add_argument("--only", metavar="A,B", help="doors, default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="60 inputs per door: a smoke run")
    args = parser.parse_args()
    known = doors()
    names = args.only.split(",") if args.only else list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"--only {','.join(unknown)}: no such door; allowed: {', '.join(known)}")
    logging.disable(logging.CRITICAL)
    figures: dict[str, Any] = {}
    crashes: list[str] = []
    soft = resource.getrlimit(resource.RLIMIT_AS)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                work = Path(folder) / name
                work.mkdir()
                door = known[name](work)
                limit_memory(MEMORY)
                tally, found = play(door, 60 if args.quick else args.times, args.seed, name)
                resource.setrlimit(resource.RLIMIT_AS, soft)
                crashes += found
                figures[name] = {**tally.outcomes, "slowest_s": round(tally.slowest, 2)}
        finally:
            resource.setrlimit(resource.RLIMIT_AS, soft)
            logging.disable(logging.NOTSET)
    for crash in crashes:
        print(crash)
    print(json.dumps({**figures, "crashes": len(crashes)}))
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
