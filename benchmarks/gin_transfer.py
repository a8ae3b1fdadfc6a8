"""Two sites hold CT only; the global model is tested on MRI of other patients. Phantom data.

FedGIN against its rival FedAvg: the settings of jobs/fedgin, once with GIN and once without; same
anatomies, draws, steps and geometric augmentation. Trained in process, which gives the simulator's
weights (see tests/jobs).

Example:
    python benchmarks/gin_transfer.py
    python benchmarks/gin_transfer.py --quick
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cells import pool_of

JOB = Path(__file__).parents[1] / "jobs/fedgin/app/config/training.json"
ARMS = {"fedavg": "none", "fedgin": "gin"}


def run_arm(arm: str, seed: int, rounds: int, quick: bool) -> dict[str, float]:
    """Trains on two CT sites and returns mean Dice per modality on unseen cases."""
    from fedvox.augment import INTENSITY
    from fedvox.data.site.site_data import SiteData, open_site
    from fedvox.flare.run.site_setup import phantom_site
    from fedvox.job.settings import read_job
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN
    from fedvox.training.arms import ArmModel, score_models
    from fedvox.training.in_process import run_in_process

    job = read_job(JOB)
    phantom = dataclasses.replace(job.phantom, modalities=("ct", "ct", "mr"), seed=seed)
    training = dataclasses.replace(job.training, seed=seed, rounds=rounds)
    if quick:
        phantom = dataclasses.replace(phantom, train=2, val=1, test=2, spacing_mm=12.0)
        training = dataclasses.replace(training, rounds=1, steps=2)
        data = dataclasses.replace(job.data, spacing=(12.0,) * 3, patch=(32,) * 3)
        job = dataclasses.replace(job, data=data)
    augmentation = INTENSITY.settings(ARMS[arm])(
        geometric=job.augmentation.geometric, contrast=job.augmentation.contrast
    )
    job = dataclasses.replace(job, phantom=phantom, training=training, augmentation=augmentation)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sites: list[SiteData] = []
        for index in (1, 2, 3):
            site = f"site-{index}"
            settings = phantom_site(site, phantom, work / "data" / site)
            sites.append(open_site(site, settings, job.data, work / "state" / site))
        result = run_in_process(sites[:2], job, work / "run")
        model = ArmModel(result.last, job, work / "run", len(result.rounds))
        rows = score_models({arm: model}, [sites[0], sites[2]])
    return {
        row.modality: row.dice_mean
        for row in summarise(rows)
        if (row.organ, row.site) == (MEAN_ORGAN, ALL_SITES)
    }


def main() -> int:
    """Runs all arms and seeds, two at a time, and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per run (default 7)")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side (default 2)")
    parser.add_argument("--quick", action="store_true", help="one seed, two steps: a smoke run")
    args = parser.parse_args()
    seeds = 1 if args.quick else args.seeds
    start = time.monotonic()
    dice: dict[tuple[str, int], dict[str, float]] = {}
    with pool_of(args.workers, args.quick) as pool:
        runs = {
            (arm, seed): pool.submit(run_arm, arm, seed, args.rounds, args.quick)
            for seed in range(seeds)
            for arm in ARMS
        }
        for (arm, seed), run in runs.items():
            dice[arm, seed] = run.result()
            scores = ", ".join(f"{m} {d:.3f}" for m, d in sorted(dice[arm, seed].items()))
            print(f"seed {seed} {arm}: {scores} ({time.monotonic() - start:.0f} s)", flush=True)
    means = {
        (arm, modality): statistics.mean(dice[arm, seed][modality] for seed in range(seeds))
        for arm in ARMS
        for modality in ("ct", "mr")
    }
    figures = {
        "fedavg_mr_dice": round(means["fedavg", "mr"], 4),
        "fedgin_mr_dice": round(means["fedgin", "mr"], 4),
        "gain": round(means["fedgin", "mr"] - means["fedavg", "mr"], 4),
        "fedavg_ct_dice": round(means["fedavg", "ct"], 4),
        "fedgin_ct_dice": round(means["fedgin", "ct"], 4),
        "seeds": seeds,
        "rounds": args.rounds,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
