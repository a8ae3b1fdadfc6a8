"""The main job on 200 real MRI cases of the hippocampus (MSD task 4), dealt out to four sites.

Exports jobs/fedgin with overrides only (organs, spacing, patch, length), deals the cases of the MSD
folder out to four sites (10 test and 3 validation cases each, the rest trains) and runs the
simulator. Prints the mean Dice of the global model on the 40 test cases.

Example:
    python benchmarks/real_learning.py --data Task04_Hippocampus
    python benchmarks/real_learning.py --data Task04_Hippocampus --out runs/hippocampus
"""

import argparse
import csv
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fedvox.data.readers.msd import read
from fedvox.data.site.site_file import SiteSettings
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.simulate import results_folder, simulate
from fedvox.seeding import generator

JOB = Path(__file__).parents[1] / "jobs/fedgin"
OVERRIDES = [
    "data.organs=hippocampus_anterior,hippocampus_posterior",
    'data.modalities=["mr"]',
    "data.spacing=[0.75,0.75,0.75]",
    "data.patch=[48,64,48]",
    "training.rounds=6",
    "training.steps=400",
    "evaluation.site_models=false",
    "evaluation.nsd_tolerance_mm=1",
]
SITES = 4
TEST, VALIDATION = 10, 3


def write_sites(folder: Path, data: Path, limit: int | None) -> dict[str, SiteSettings]:
    """Describes the sites and writes a split file for each; cases are dealt out in seeded order."""
    import torch

    ids = [case.id for case in read(data, ["mr"])][:limit]
    order = torch.randperm(len(ids), generator=generator(0, "real_learning")).tolist()
    shuffled = [ids[index] for index in order]
    sites = {}
    for index in range(SITES):
        own = shuffled[index::SITES]
        test, val = (TEST, VALIDATION) if limit is None else (1, 1)
        split = {"test": own[:test], "val": own[test : test + val], "train": own[test + val :]}
        path = folder / f"split-{index + 1}.json"
        path.write_text(json.dumps(split))
        root = str(data.resolve())
        sites[f"site-{index + 1}"] = SiteSettings(
            "msd", root, ("mr",), split=str(path), share="cases"
        )
    return sites


def teller(work: Path, out: Path | None) -> Callable[[str], None]:
    """Prints lines, but for those that name something that is about to be deleted.

    Args:
        work: temporary folder.
        out: where the run's files are kept, or None.
    """

    def tell(line: str) -> None:
        line = line.replace(str(results_folder(work)), str(out)) if out else line
        if str(work) not in line:
            print(line, flush=True)

    return tell


def number(cell: str) -> float | None:
    """A cell of the summary; None where it is empty, as an interval of few cases is."""
    return round(float(cell), 4) if cell else None


def main() -> int:
    """Runs the job and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="MSD folder with dataset.json")
    parser.add_argument("--out", type=Path, help="keeps the run's files here")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="further overrides"
    )
    parser.add_argument("--quick", action="store_true", help="12 cases, 2 steps: a smoke run")
    args = parser.parse_args()
    overrides = [*OVERRIDES, *args.set]
    if args.quick:
        overrides += ["training.rounds=1", "training.steps=2"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        sites = write_sites(work, args.data, 12 if args.quick else None)
        job = export_job(JOB, work / "job", "pinned", overrides, "hippocampus")
        start = time.monotonic()
        results = simulate(job, sites, work, threads=2, tell=teller(work, args.out))
        seconds = time.monotonic() - start
        with (results / "summary.csv").open() as stream:
            found = [r for r in csv.DictReader(stream) if r["site"] == "all"]
        rows = {(r["model"], r["organ"]): r for r in found}
        records = [json.loads(line) for line in (results / "rounds.jsonl").open()]
        if args.out:
            shutil.copytree(results, args.out, dirs_exist_ok=True)
    best = rows["global_best", "mean"]
    figures = {
        "mean_dice": round(float(best["dice_mean"]), 4),
        "dice_low": number(best["dice_low"]),
        "dice_high": number(best["dice_high"]),
        "test_cases": int(best["cases"]),
        "training_minutes": round(sum(record["seconds"] for record in records) / 60, 2),
        "run_minutes": round(seconds / 60, 2),
    }
    print(f"files: {args.out}" if args.out else "the run's files are gone; --out DIR keeps them")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
