"""Train on one real CT, test on one real MRI of another patient, with and without GIN.

The folder given by --data holds ct.nii.gz, ct_labels.nii.gz, mr.nii.gz and mr_labels.nii.gz with
TotalSegmentator's label values 1 to 7. Rival: the same training without GIN, same steps and draws.
One pair of scans and one seed say little: --seeds 3 prints every seed and the means.

Example:
    python benchmarks/real_transfer.py --data DIR
    python benchmarks/real_transfer.py --data DIR --seeds 3
    python benchmarks/real_transfer.py --data DIR --quick
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

LABELS = {
    "spleen": 1,
    "kidney_right": 2,
    "kidney_left": 3,
    "gallbladder": 4,
    "liver": 5,
    "stomach": 6,
    "pancreas": 7,
}


def job_mapping(augmentation: str, steps: int, seed: int, threads: int) -> dict[str, Any]:
    """The job as ``training.json`` would say it."""
    return {
        "name": f"real_transfer_{augmentation}",
        "data": {
            "organs": list(LABELS),
            "spacing": [3.0, 3.0, 3.0],
            "patch": [64, 64, 32],
            "sampler": {"name": "foreground", "share": 0.67},
        },
        "augmentation": {"name": augmentation},
        "network": {"channels": [16, 32, 64, 128], "residual_units": 2},
        "training": {
            "rounds": 1,
            "steps": steps,
            "batch": 2,
            "learning_rate": 0.003,
            "threads": threads,
            "seed": seed,
        },
    }


def write_site(folder: Path, data: Path, modality: str) -> Path:
    """A plain folder of links to one volume and its labels, with a site file."""
    for kind, source in (("images", modality), ("labels", f"{modality}_labels")):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "case.nii.gz").symlink_to((data / f"{source}.nii.gz").resolve())
    table = {name: value for name, value in LABELS.items()}
    table |= {f"other_{value}": value for value in range(8, 120)}
    (folder / "labels.json").write_text(json.dumps(table))
    every = {"train": ["case"], "val": [], "test": ["case"], "allow_overlap": True}
    (folder / "split.json").write_text(json.dumps(every))
    site = {
        "dataset": "plain",
        "root": ".",
        "modalities": [modality],
        "split": "split.json",
        "share": "cases",
    }
    (folder / "fedvox_site.json").write_text(json.dumps(site))
    return folder / "fedvox_site.json"


def run_arm(augmentation: str, data: Path, steps: int, seed: int, threads: int) -> dict[str, float]:
    """Trains one arm on the CT and returns Dice per organ on the MRI."""
    from fedvox.data.site.site_data import open_site
    from fedvox.data.site.site_file import read_site_file
    from fedvox.job.settings import job_from
    from fedvox.training.arms import ArmModel, score_models
    from fedvox.training.in_process import run_in_process

    job = job_from(job_mapping(augmentation, steps, seed, threads))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sites = {
            modality: open_site(
                modality,
                read_site_file(write_site(work / "data" / modality, data, modality)),
                job.data,
                work / "state" / modality,
            )
            for modality in ("ct", "mr")
        }
        result = run_in_process([sites["ct"]], job, work / "run")
        model = ArmModel(result.last, job, work / "run", len(result.rounds))
        rows = score_models({augmentation: model}, [sites["mr"]])
    return {row.organ: row.dice for row in rows}


def main() -> int:
    """Runs both arms side by side and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the four volumes")
    parser.add_argument("--steps", type=int, default=1200, help="training steps (default 1200)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per arm (default 1)")
    parser.add_argument("--quick", action="store_true", help="20 steps: a smoke run")
    args = parser.parse_args()
    steps = 20 if args.quick else args.steps
    with ProcessPoolExecutor(2) as pool:
        runs = {
            (arm, seed): pool.submit(run_arm, arm, args.data, steps, seed, args.threads)
            for seed in range(args.seed, args.seed + args.seeds)
            for arm in ("none", "gin")
        }
        found: dict[str, list[list[float]]] = {"none": [], "gin": []}
        for (arm, seed), run in runs.items():
            own = run.result()
            found[arm].append([own[organ] for organ in LABELS])
            scores = ", ".join(f"{organ} {own[organ]:.3f}" for organ in LABELS)
            print(f"seed {seed} {arm}: {scores}", flush=True)
    dice = {arm: dict(zip(LABELS, np.mean(rows, axis=0))) for arm, rows in found.items()}
    figures = {
        "steps": steps,
        "seeds": args.seeds,
        "none_mr_dice": round(float(np.nanmean(list(dice["none"].values()))), 4),
        "gin_mr_dice": round(float(np.nanmean(list(dice["gin"].values()))), 4),
        "gin_mr_liver_dice": round(float(dice["gin"]["liver"]), 4),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
