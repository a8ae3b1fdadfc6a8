"""Compressed updates both ways, against the same job uncompressed: bytes, Dice and HD95.

Every run is `nvflare simulator` of jobs/brats on brain phantoms with overrides only, or, with
--data, the four hippocampus sites of real_learning.py. Bytes are those of FLARE's serialised
messages in the training rounds, up plus down, as rounds.jsonl holds them; the first model goes
down as nothing, since sites draw it from the job's seed, and the evaluation is not counted. Dice
and HD95 are means over organs on unseen cases, of the last global model. Seeds are paired: a run
and its rival differ in the compression only. Down twice the share of up is kept: the places that
two sites choose overlap little, so that their mean has about twice as many. Finished runs are kept
in --out and not repeated; curve.csv and curve.png there show all finished settings. The codec's
speed-up over `torch.topk` and a naive pack is that of codec.py.

Example:
    python benchmarks/compression.py --out runs/compression
    python benchmarks/compression.py --data Task04_Hippocampus --only 97 --out runs/hippocampus
    python benchmarks/compression.py --quick
"""

import argparse
import csv
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from codec import compare as measure_codec
from fedvox.config import read_json
from fedvox.data.site.site_file import SiteSettings
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.flare.loopback.simulate import simulate
from fedvox.flare.run.site_setup import phantom_site
from fedvox.job.settings import job_from

JOBS = Path(__file__).parents[1] / "jobs"


@dataclass(frozen=True)
class Setting:
    """How much travels.

    Attributes:
        up, down: share of the entries that is kept.
        bits: of a value.
        warmup: first rounds with larger shares.
    """

    up: float
    down: float
    bits: int
    warmup: int = 0


SETTINGS: dict[str, Setting] = {
    "50": Setting(0.45, 0.9, 32),
    "75": Setting(1.0, 1.0, 8),
    "90": Setting(0.25, 0.5, 6),
    "95": Setting(0.175, 0.35, 3),
    "97": Setting(0.08, 0.16, 3, 4),
    "98": Setting(0.047, 0.094, 3, 4),
    "99": Setting(0.019, 0.038, 3, 2),
    "99.5": Setting(0.0098, 0.0196, 3, 1),
}
"""Share of bytes that is about saved, in percent -> what is kept for it."""
WHOLE = "whole"
MAIN = "97"
BRATS = [
    "data.spacing=[4,4,4]",
    "data.patch=[32,32,32]",
    "training.rounds=80",
    "training.steps=10",
    "phantom.train=12",
    "phantom.val=1",
    "phantom.test=30",
    "evaluation.overlays=0",
    "evaluation.site_models=false",
]
REAL = ["training.rounds=60", "training.steps=20"]
QUICK = [
    "data.spacing=[10,10,10]",
    "data.patch=[16,16,16]",
    "network.channels=[8,16]",
    "phantom.spacing_mm=10",
    "phantom.train=2",
    "phantom.val=1",
    "phantom.test=1",
    "training.rounds=2",
    "training.steps=2",
    "evaluation.overlays=0",
]


@dataclass(frozen=True)
class Cell:
    """What one run gave.

    Attributes:
        bytes: of the training rounds, up plus down.
        dice: mean over organs.
        hd95: mean over organs in mm; NaN where no case has one.
        seconds: of all rounds.
    """

    bytes: int
    dice: float
    hd95: float
    seconds: float


def overrides_of(setting: str) -> list[str]:
    """What turns the job into an arm of the comparison."""
    if setting == WHOLE:
        return []
    own = SETTINGS[setting]
    values = {"up.keep": own.up, "up.bits": own.bits, "down.keep": own.down, "down.bits": own.bits}
    return [
        f"compression.{key}={value}" for key, value in (values | {"warmup": own.warmup}).items()
    ]


def changes_of(setting: str, seed: int, args: argparse.Namespace) -> list[str]:
    """The overrides of a cell's job."""
    if args.data:
        from real_learning import OVERRIDES

        base = [*OVERRIDES, *REAL]
    else:
        base = [*BRATS, *(QUICK if args.quick else ()), f"phantom.seed={seed}"]
    return [*base, *args.set, f"training.seed={seed}", *overrides_of(setting)]


def path_of(setting: str, seed: int, args: argparse.Namespace, folder: Path) -> Path:
    """Of a cell's figures; another job or other data are another cell."""
    data = args.data.resolve().name if args.data else ""
    data += " quick" if args.quick else ""  # of a data set that takes a few cases only
    text = json.dumps([data, changes_of(setting, seed, args)])
    return folder / f"{setting}_{seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}.json"


def run_cell(setting: str, seed: int, args: argparse.Namespace, folder: Path) -> Cell:
    """Runs a cell, or reads it where it was finished before."""
    path = path_of(setting, seed, args, folder)
    if path.is_file():
        return Cell(**json.loads(path.read_text()))
    changes = changes_of(setting, seed, args)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if args.data:
            from real_learning import write_sites

            source = "fedgin"
            sites = write_sites(work, args.data, 12 if args.quick else None)
        else:
            source = "brats"
            sites = phantom_sites(folder, changes, 1 if args.quick else 2)
        job = export_job(JOBS / source, work / "job", "pinned", changes, "compression")
        results = simulate(job, sites, work, threads=len(sites))
        cell = read_cell(results)
        if args.keep:
            shutil.copytree(results, path.with_suffix(""), dirs_exist_ok=True)
    path.write_text(json.dumps(cell.__dict__))
    return cell


def phantom_sites(folder: Path, changes: list[str], count: int) -> dict[str, SiteSettings]:
    """The sites of a seed, drawn once for all its arms."""
    job = job_from(apply_overrides(read_json(JOBS / "brats/app/config/training.json"), changes))
    drawn = hashlib.sha256(repr(job.phantom).encode()).hexdigest()[:10]
    names = [f"site-{number}" for number in range(1, count + 1)]
    return {n: phantom_site(n, job.phantom, folder / f"data_{drawn}" / n) for n in names}


def read_cell(results: Path) -> Cell:
    """The figures of a finished run."""
    records = [json.loads(line) for line in (results / "rounds.jsonl").open()]
    rounds = [record for record in records if not record.get("final")]
    with (results / "summary.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["site"] == "all" and r["organ"] == "mean"]
    (row,) = (r for r in rows if r["model"] == "global_last")
    return Cell(
        sum(record["bytes_up"] + record["bytes_down"] for record in rounds),
        float(row["dice_mean"]),
        float(row["hd95_mm_mean"] or "nan"),
        sum(record["seconds"] for record in rounds),
    )


def compare(cells: dict[tuple[str, int], Cell], setting: str, seeds: int) -> dict[str, object]:
    """A setting against the runs without compression, seed by seed."""
    pairs = [(cells[setting, seed], cells[WHOLE, seed]) for seed in range(seeds)]
    points = [100 * (own.dice - whole.dice) for own, whole in pairs]
    return {
        "bytes_saved": round(1 - statistics.mean(o.bytes / w.bytes for o, w in pairs), 4),
        "dice_delta_points": round(statistics.mean(points), 3),
        "dice_deltas": [round(value, 3) for value in points],
        "hd95_ratio": round(statistics.mean(o.hd95 / w.hd95 for o, w in pairs), 4),
        "seconds_ratio": round(statistics.mean(o.seconds / w.seconds for o, w in pairs), 3),
    }


def write_curve(folder: Path, curve: dict[str, dict[str, object]]) -> None:
    """Every setting as a row of curve.csv and as points of curve.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = ["bytes_saved", "dice_delta_points", "hd95_ratio", "seconds_ratio"]
    with (folder / "curve.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["setting", *names])
        table.writerows([setting, *(row[name] for name in names)] for setting, row in curve.items())
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    bounds = {"dice_delta_points": -0.5, "hd95_ratio": 1.05}
    labels = {"dice_delta_points": "Dice, points", "hd95_ratio": "HD95, ratio"}
    for axis, (name, bound) in zip(axes, bounds.items(), strict=True):
        axis.plot(range(len(curve)), [row[name] for row in curve.values()], marker="o")
        axis.axhline(bound, linestyle="--", color="grey", label=f"{bound}")
        saved = [f"{100 * row['bytes_saved']:.1f}" for row in curve.values()]  # type: ignore[operator]
        axis.set_xticks(range(len(curve)), saved)
        axis.set(xlabel="bytes saved, %", ylabel=f"{labels[name]} against whole models")
        axis.legend()
    figure.savefig(folder / "curve.png", dpi=100)


def main() -> int:
    """Runs what is missing and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument(
        "--only", default=",".join(SETTINGS), help="settings, with commas between them (all)"
    )
    parser.add_argument("--data", type=Path, help="MSD folder Task04_Hippocampus: real data")
    parser.add_argument("--out", type=Path, help="keeps the figures of finished runs here")
    parser.add_argument("--keep", action="store_true", help="keeps the runs' files in --out too")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="further overrides"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, one setting: a smoke run")
    args = parser.parse_args()
    seeds, chosen = (1, [MAIN]) if args.quick else (args.seeds, args.only.split(","))
    if unknown := set(chosen) - set(SETTINGS):
        parser.error(f"--only {','.join(sorted(unknown))}: known are {', '.join(SETTINGS)}")
    if seeds < 1:
        parser.error(f"--seeds {seeds}: at least 1")
    if any(change.startswith("compression") for change in args.set):
        parser.error("--set compression...: the rival would be compressed too; use --only")
    if args.keep and not args.out:
        parser.error("--keep needs --out, the folder for the files")
    cells: dict[tuple[str, int], Cell] = {}
    todo = [(setting, seed) for seed in range(seeds) for setting in (WHOLE, *chosen)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for number, (setting, seed) in enumerate(todo, start=1):
            start = time.monotonic()
            own = cells[setting, seed] = run_cell(setting, seed, args, folder)
            print(
                f"{number}/{len(todo)} seed {seed} {setting}: {own.bytes / 1e6:.2f} MB, Dice "
                f"{own.dice:.4f}, HD95 {own.hd95:.2f} mm ({time.monotonic() - start:.0f} s)",
                flush=True,
            )
    curve = {setting: compare(cells, setting, seeds) for setting in chosen}
    setting = MAIN if MAIN in chosen else chosen[0]
    if args.out:
        for name in set(SETTINGS) - set(chosen):
            if all(path_of(name, seed, args, folder).is_file() for seed in range(seeds)):
                cells |= {(name, seed): run_cell(name, seed, args, folder) for seed in range(seeds)}
                curve[name] = compare(cells, name, seeds)
        write_curve(args.out, {name: curve[name] for name in SETTINGS if name in curve})
    speed = measure_codec(1_000_000 if args.quick else 62_000_000, 1 if args.quick else 3)
    figures = {
        **{key: curve[setting][key] for key in ("bytes_saved", "dice_delta_points", "hd95_ratio")},
        "codec_speedup": round(speed["codec_speedup"], 2),
        "setting": asdict(SETTINGS[setting]),
        "curve": curve,
        "whole_dice": round(statistics.mean(cells[WHOLE, s].dice for s in range(seeds)), 4),
        "seeds": seeds,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
