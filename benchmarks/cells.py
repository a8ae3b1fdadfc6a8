"""What benchmarks of several runs share: cells that are kept when they are done, and intervals."""

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fedvox.data.site.site_data import SiteData
    from fedvox.job.settings import JobSettings

SMALLEST = (
    "phantom.train=2",
    "phantom.val=1",
    "phantom.test=1",
    "phantom.spacing_mm=10",
    "data.spacing=[10,10,10]",
    "data.patch=[16,16,16]",
)
"""Settings of the smallest data that train, for smoke runs."""

Result = dict[str, Any]
Arm = TypeVar("Arm")


@dataclass(frozen=True)
class Cell:
    """One run on phantoms: a job with overrides, a seed.

    Attributes:
        base: ``training.json`` of the job.
        arm: what is compared.
        seed: of data, initial weights and draws.
        overrides: as ``--set`` takes them.
        scenario: what all its arms share; empty where there is one.
    """

    base: Path
    arm: str
    seed: int
    overrides: tuple[str, ...]
    scenario: str = ""

    def job(self) -> "JobSettings":
        """The run's settings."""
        from fedvox.config import read_json
        from fedvox.flare.jobs.overrides import apply_overrides
        from fedvox.job.settings import job_from

        return job_from(apply_overrides(read_json(self.base), self.overrides))

    def name(self) -> str:
        """Of its file: changed settings are another cell."""
        parts = (self.scenario, self.arm, self.seed, digest(self.job()))
        return "-".join(str(part) for part in parts if part != "")


def open_sites(cell: Cell, out: Path) -> "list[SiteData]":
    """One site per entry of the phantoms' modalities; the arms of a seed share the data, which are
    made on first use."""
    from fedvox.data.site.site_data import open_site
    from fedvox.flare.run.site_setup import phantom_site

    job = cell.job()
    place = f"{cell.scenario or 'sites'}-{cell.seed}-{digest(job.phantom, job.data)}"
    folder, found = out / "data" / place, []
    for number in range(1, len(job.phantom.modalities) + 1):
        name = f"site-{number}"
        own = phantom_site(name, job.phantom, folder / name)
        found.append(open_site(name, own, job.data, folder / "state" / name))
    return found


def digest(*settings: object) -> str:
    """A short name of settings."""
    from fedvox.config import to_mapping

    text = json.dumps([to_mapping(own) for own in settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def seeded(seed: int) -> tuple[str, ...]:
    """Patients, initial weights and draws of a seed, as ``--set`` takes them."""
    return (f"phantom.seed={seed}", f"training.seed={seed}")


def options(about: str | None, out: str) -> argparse.ArgumentParser:
    """The options that benchmarks of cells share.

    Args:
        about: the benchmark's docstring.
        out: where it keeps cells unless told otherwise.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=_count, default=3, help="number of seeds (default 3)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of every arm's job"
    )
    parser.add_argument("--out", type=Path, default=Path(out), help="where cells are kept")
    parser.add_argument("--workers", type=_count, default=2, help="runs side by side (default 2)")
    parser.add_argument("--only", default="", help="arms, with commas between them (all)")
    parser.add_argument("--quick", action="store_true", help="one seed, tiny: a smoke run")
    return parser


def chosen(arms: Mapping[str, Arm], args: argparse.Namespace) -> dict[str, Arm]:
    """The arms that ``--only`` names, or all; ends the program where it names another."""
    names = args.only.split(",") if args.only else list(arms)
    if unknown := sorted(set(names) - set(arms)):
        sys.exit(f"error: --only {','.join(unknown)}: known are {', '.join(arms)}")
    return {name: arms[name] for name in names}


def _count(text: str) -> int:
    """A whole number from 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def computed(
    cells: Sequence[Cell],
    args: argparse.Namespace,
    run: Callable[[Cell, Path], Result],
    told: Callable[[Mapping[str, Any]], str],
) -> dict[Cell, Result]:
    """As :func:`compute`, as the command line says; a quick run keeps nothing."""
    with tempfile.TemporaryDirectory() as name:
        out, pool = Path(name) if args.quick else args.out, pool_of(args.workers, args.quick)
        return compute(cells, out, pool, run, told)


def pool_of(workers: int, quick: bool) -> Executor:
    """Processes for runs side by side; a quick run's imports would take longer than its runs."""
    return ThreadPoolExecutor(1) if quick else ProcessPoolExecutor(workers)


def compute(
    cells: Sequence[Cell],
    out: Path,
    pool: Executor,
    run: Callable[[Cell, Path], Result],
    told: Callable[[Mapping[str, Any]], str],
) -> dict[Cell, Result]:
    """The results of all cells; those that are missing are computed, some side by side.

    Args:
        cells: in the order of the answer.
        out: keeps finished cells.
        pool: runs them; it is closed at the end.
        run: computes a cell.
        told: what a finished cell found, for a line of progress.
    """
    (out / "cells").mkdir(parents=True, exist_ok=True)
    paths = {cell: out / "cells" / f"{cell.name()}.json" for cell in cells}
    found = {cell: json.loads(path.read_text()) for cell, path in paths.items() if path.is_file()}
    missing = [cell for cell in cells if cell not in found]
    print(f"{len(found)} of {len(cells)} cells are done, in {out}", flush=True)
    with pool:
        first = {(cell.scenario, cell.seed): cell for cell in missing}
        for made in [pool.submit(open_sites, cell, out) for cell in first.values()]:
            made.result()
        start = time.monotonic()
        runs: dict[Future[Result], Cell] = {
            pool.submit(_kept, run, cell, out, paths[cell]): cell for cell in missing
        }
        for count, future in enumerate(as_completed(runs), start=1):
            cell = runs[future]
            found[cell] = future.result()
            left = (time.monotonic() - start) / count * (len(missing) - count)
            print(
                f"{count} of {len(missing)}: {cell.scenario} {cell.arm} seed {cell.seed}: "
                f"{told(found[cell])} "
                f"({found[cell]['seconds']:.0f} s; about {left / 60:.0f} min left)",
                flush=True,
            )
    return {cell: found[cell] for cell in cells}


def _kept(run: Callable[[Cell, Path], Result], cell: Cell, out: Path, path: Path) -> Result:
    """Computes a cell in a folder of its own and writes what came out, with its seconds."""
    from fedvox.files import write_json

    start, work = time.monotonic(), out / "work" / cell.name()
    shutil.rmtree(work, ignore_errors=True)
    result = run(cell, out)
    shutil.rmtree(work, ignore_errors=True)
    result = {**result, "seconds": round(time.monotonic() - start, 1)}
    write_json(path, result)
    return result


def by_arm(found: Mapping[Cell, Mapping[str, Any]]) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Arm -> seed -> result, in the order of the cells."""
    arms: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell, result in found.items():
        arms.setdefault(cell.arm, {})[cell.seed] = result
    return arms


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval (95%) of the mean over seeds, from at least two."""
    from scipy.stats import t

    mean, deviation = statistics.mean(values), statistics.stdev(values)
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / len(values) ** 0.5
    return mean - half, mean + half


def points(gains: Sequence[float]) -> str:
    """The mean of paired gains and its interval, in points of Dice."""
    mean = f"{statistics.mean(gains):+.2f}"
    if len(gains) < 2:
        return f"{mean} [one seed]"
    low, high = interval(gains)
    return f"{mean} [{low:+.2f}, {high:+.2f}]"
