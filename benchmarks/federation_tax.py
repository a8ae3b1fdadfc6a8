"""What the federation costs: a simulator job against the same local rounds without FLARE.

Ours: `nvflare simulator` of jobs/fedgin with -n 2 -t 2; the wall time of its rounds, from the first
round's start to the last one's end. Rival: two processes side by side, one per site, that do the
same local rounds (validation of the received model included) without any server. Start-up,
phantom writing and preprocessing are excluded on both sides. Repeated in turn; medians.

Example:
    python benchmarks/federation_tax.py
    python benchmarks/federation_tax.py --quick
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

from fedvox.errors import FedVoxError
from fedvox.flare.loopback.simulate import simulate

JOBS = Path(__file__).parents[1] / "jobs"


def timed_rounds(job: Path, sites: int, work: Path) -> tuple[float, list[float]]:
    """Runs the job with so many sites.

    Returns:
        Seconds from the first round's start to the last one's end by the log's own clock, the
        handover between rounds included, and per round the seconds of the slowest site's training.
    """
    lines: list[str] = []
    try:
        results = simulate(job, sites, work, threads=sites, tell=lines.append)
    except FedVoxError as error:  # the log is about to be deleted
        sys.exit(f"{error}; its last lines:\n" + "\n".join(lines[-30:]))
    start = next(_clock(line) for line in lines if line.endswith("Round 0 started."))
    end = next(_clock(line) for line in lines if "Finished ScatterAndGather Training" in line)
    records = (results / "rounds.jsonl").read_text().splitlines()
    parts = [json.loads(record)["contributors"] for record in records]
    training = [max(entry["train_seconds"] for entry in part) for part in parts if part]
    return (end - start).total_seconds(), training


def _clock(line: str) -> datetime:
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


def local_rounds(job_folder: Path, site: str, work: Path) -> float:
    """All local rounds of one site without a server; seconds, start-up excluded."""
    from fedvox.data.site.site_data import open_site
    from fedvox.flare.jobs.folder import job_settings
    from fedvox.flare.run.site_setup import phantom_site
    from fedvox.inference.evaluate import validate
    from fedvox.job.device import prepare_device
    from fedvox.job.model import initial_model
    from fedvox.training.local_update import local_update

    job = job_settings(job_folder)
    device = prepare_device(job.training)
    settings = phantom_site(site, job.phantom, work / site / "phantom")
    data = open_site(site, settings, job.data, work / site / "state")
    model = initial_model(job)
    validate(model, data.val[:1], job, device)
    start = time.monotonic()
    for index in range(job.training.rounds):
        local_update(model, data, job, index, work / site / "state", device)
    return time.monotonic() - start


def main() -> int:
    """Runs both in turn and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="rounds per run (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind (default 3)")
    parser.add_argument("--quick", action="store_true", help="one tiny run: a smoke run")
    args = parser.parse_args()
    # What comes after the rounds is not measured: keep it short.
    overrides = [f"training.rounds={args.rounds}", "evaluation.site_models=false", "phantom.test=1"]
    repeats, sites = args.repeats, 2
    if args.quick:
        repeats, sites = 1, 1
        overrides += ["training.rounds=1", "training.steps=2", "network.channels=[8,16]"]
        overrides += ["phantom.train=2", "phantom.val=1", "phantom.spacing_mm=12"]
        overrides += ["data.spacing=[12,12,12]", "data.patch=[16,16,16]", "evaluation.overlays=0"]
    from fedvox.flare.jobs.export import export_job

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        job = export_job(JOBS / "fedgin", work / "job", "pinned", overrides)
        federated, alone, outside = [], [], []
        for repeat in range(repeats):
            seconds, training = timed_rounds(job, sites, work / f"simulator{repeat}")
            federated.append(seconds)
            outside.append((seconds - sum(training)) / len(training))
            with ProcessPoolExecutor(2) as pool:
                runs = [
                    pool.submit(local_rounds, job, f"site-{number}", work / f"alone{repeat}")
                    for number in range(1, sites + 1)
                ]
                alone.append(max(run.result() for run in runs))
            print(f"federated {federated[-1]:.1f} s, alone {alone[-1]:.1f} s", flush=True)
    figures = {
        "ratio": round(statistics.median(f / a for f, a in zip(federated, alone)), 4),
        "seconds_per_round_outside_training": round(statistics.median(outside), 2),
        "federated_seconds": round(statistics.median(federated), 2),
        "alone_seconds": round(statistics.median(alone), 2),
        "repeats": repeats,
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
