"""What benchmarks of several runs share: cells that are kept when they are done, and intervals."""

import hashlib
import json
import shutil
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol, TypeVar

Result = dict[str, Any]


class Kept(Hashable, Protocol):
    """One run of a benchmark, a value that processes can hand to each other."""

    @property
    def seed(self) -> int:
        """Of its data and training."""
        ...

    def name(self) -> str:
        """Of its file: changed settings are another cell."""
        ...


C = TypeVar("C", bound=Kept)


def digest(*settings: object) -> str:
    """A short name of settings."""
    from fedvox.config import to_mapping

    text = json.dumps([to_mapping(own) for own in settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def seeded(seed: int) -> tuple[str, ...]:
    """Patients, initial weights and draws of a seed, as ``--set`` takes them."""
    return (f"phantom.seed={seed}", f"training.seed={seed}")


def compute(
    cells: Sequence[C],
    out: Path,
    workers: int,
    prepare: Callable[[C, Path], Any],
    data_of: Callable[[C], Hashable],
    run: Callable[[C, Path], Result],
    told: Callable[[C, Mapping[str, Any]], str],
) -> dict[C, Result]:
    """The results of all cells; those that are missing are computed, some side by side.

    Args:
        cells: in the order of the answer.
        out: keeps finished cells.
        workers: runs side by side.
        prepare: makes the data of a cell.
        data_of: what its data depend on; they are made once.
        run: computes a cell.
        told: a finished cell as a line of progress.
    """
    (out / "cells").mkdir(parents=True, exist_ok=True)
    paths = {cell: out / "cells" / f"{cell.name()}.json" for cell in cells}
    found = {cell: json.loads(path.read_text()) for cell, path in paths.items() if path.is_file()}
    missing = [cell for cell in cells if cell not in found]
    print(f"{len(found)} of {len(cells)} cells are done, in {out}", flush=True)
    with ProcessPoolExecutor(workers) as pool:
        first = {data_of(cell): cell for cell in missing}
        for made in [pool.submit(prepare, cell, out) for cell in first.values()]:
            made.result()
        start = time.monotonic()
        runs: dict[Future[Result], C] = {
            pool.submit(_kept, run, cell, out, paths[cell]): cell for cell in missing
        }
        for count, future in enumerate(as_completed(runs), start=1):
            cell = runs[future]
            found[cell] = future.result()
            left = (time.monotonic() - start) / count * (len(missing) - count)
            print(
                f"{count} of {len(missing)}: {told(cell, found[cell])} "
                f"({found[cell]['seconds']:.0f} s; about {left / 60:.0f} min left)",
                flush=True,
            )
    return {cell: found[cell] for cell in cells}


def _kept(run: Callable[[C, Path], Result], cell: C, out: Path, path: Path) -> Result:
    """Computes a cell in a folder of its own and writes what came out, with its seconds."""
    from fedvox.files import write_json

    start, work = time.monotonic(), out / "work" / cell.name()
    shutil.rmtree(work, ignore_errors=True)
    result = run(cell, out)
    shutil.rmtree(work, ignore_errors=True)
    result = {**result, "seconds": round(time.monotonic() - start, 1)}
    write_json(path, result)
    return result


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
