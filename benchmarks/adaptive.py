"""Who counts how much: four hospitals with phantom brain tumours, of unequal and of equal quality.

The settings of jobs/brats, shorter, with the rules of training.client_weight as arms: the weighted
mean by cases, its rivals FedCE and FedPID, modality_first (here the mean, since all sites have the
same modalities) and adaptive. In the unequal scenario one site is good, one has noisy images, one
wrong labels on nine tenths of its training cases and one a quarter of the cases; validation and
test cases have right labels everywhere. In the equal one the mean and adaptive are compared, with
--rivals all arms. `ceiling_points` is what the mean gains where the data
of all sites are good and complete: more no weights can win back, but for chance. Arms of one seed
share data, initial weights and draws. Trained in process, which gives the simulator's weights (see
tests/jobs). Dice is the mean over whole tumour, core and enhancing part of unseen patients.

Each cell (scenario, rule, seed) is kept in --out when it is done: run again, only the missing ones
are computed. --terms adds the terms of adaptive one by one; --adaptive and --set change settings.

Example:
    python benchmarks/adaptive.py
    python benchmarks/adaptive.py --seeds 5 --terms --adaptive divergence=1 --adaptive smoothing=0
    python benchmarks/adaptive.py --quick
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cells import SMALLEST, Cell, chosen, computed, open_sites, options, points, seeded

if TYPE_CHECKING:
    pass

JOB = Path(__file__).parents[1] / "jobs/brats/app/config/training.json"
SITES = 4
COMMON = (
    f"phantom.modalities={json.dumps(['t1+t1ce+t2+flair'] * SITES)}",
    "phantom.train=12",
    "phantom.val=2",
    "phantom.test=5",
    "data.spacing=[4,4,4]",
    "data.patch=[32,32,32]",
    "network.channels=[8,16,32,64]",
    "training.rounds=8",
    "training.steps=50",
    "training.device=cpu",
)
QUALITY = 'phantom.quality=["good","noisy","wrong_labels","small"]'
UNEQUAL = "unequal"
SCENARIOS: Mapping[str, tuple[str, ...]] = {
    UNEQUAL: (QUALITY, "phantom.wrong_share=0.9"),
    "equal": (),
}
QUICK = (
    *SMALLEST,
    "network.channels=[4,8]",
    "training.rounds=2",
    "training.steps=2",
)
MEAN, ADAPTIVE = "mean", "adaptive"
ARMS = {MEAN: "cases"} | {rule: rule for rule in ("fedce", "fedpid", "modality_first", ADAPTIVE)}
TERMS: Mapping[str, Mapping[str, float]] = {
    "only_quality": {"dice": 0, "divergence": 0},
    "only_dice": {"quality": 0, "divergence": 0},
    "only_divergence": {"quality": 0, "dice": 0},
    "reward_divergence": {"quality": 0, "dice": 0, "divergence": -0.5},
}
REGIONS = ("tumour_whole", "tumour_core", "tumour_enhancing")


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """Trains and scores one cell."""
    from fedvox.aggregation.run_state import RunState
    from fedvox.metrics.models import BEST
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import ALL_SITES
    from fedvox.training.arms import federated, score_models

    sites, work = open_sites(cell, out), out / "work" / cell.name()
    model = federated(sites, cell.job(), work)[BEST]
    summary = summarise(score_models({BEST: model}, sites))
    dice = {
        site.name: statistics.mean(
            row.dice_mean for row in summary if row.site == site.name and row.organ in REGIONS
        )
        for site in sites
    }
    pooled = {
        row.organ: row.dice_mean
        for row in summary
        if row.site == ALL_SITES and row.organ in REGIONS
    }
    rounds = [
        {own["site"]: {"weight": own["weight"]} | own.get("terms", {}) for own in r["contributors"]}
        for r in RunState(work / "server").rounds()
    ]
    return {"dice": dice, "regions": pooled, "round": model.version, "weights": rounds}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command line asks for, seed by seed."""
    key = "training.client_weight"
    rules: dict[str, list[str]] = {arm: [f"{key}={rule}"] for arm, rule in ARMS.items()}
    rules[ADAPTIVE] += [f"{key}.{text}" for text in args.adaptive]
    for arm, changes in TERMS.items() if args.terms else ():
        rules[arm] = rules[ADAPTIVE] + [f"{key}.{name}={value}" for name, value in changes.items()]
    seeds, quick = (1, QUICK) if args.quick else (args.seeds, ())
    rules = {MEAN: rules[MEAN]} | chosen(rules, args)  # all are compared with the mean
    return [
        Cell(JOB, arm, seed, (*COMMON, *more, *seeded(seed), *quick, *args.set, *rule), scenario)
        for seed in range(seeds)
        for scenario, more in SCENARIOS.items()
        for arm, rule in rules.items()
        if scenario == UNEQUAL or args.rivals or arm in (MEAN, ADAPTIVE)
    ]


def mean_of(result: Mapping[str, Any]) -> float:
    """Mean Dice over regions and test cases."""
    return statistics.mean(result["regions"].values())


def worst_of(result: Mapping[str, Any]) -> float:
    """Mean Dice over regions at the site where it is lowest."""
    return float(min(result["dice"].values()))


def report(scenario: str, found: Mapping[Cell, Mapping[str, Any]]) -> dict[str, float]:
    """Prints the arms of a scenario and gives their figures."""
    prefix = "" if scenario == UNEQUAL else f"{scenario}_"
    arms: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell, result in found.items():
        if cell.scenario == scenario:
            arms.setdefault(cell.arm, {})[cell.seed] = result
    figures: dict[str, float] = {}
    print(f"\n{scenario:18s} {'Dice':>6s}   {'against the mean, points [95%]':32s} worst site")
    for arm, results in arms.items():
        mean = statistics.mean(map(mean_of, results.values()))
        worst = statistics.mean(map(worst_of, results.values()))
        gains = [100 * (mean_of(r) - mean_of(arms[MEAN][seed])) for seed, r in results.items()]
        paired = "" if arm == MEAN else points(gains)
        print(f"  {arm:16s} {mean:6.3f}   {paired:32s} {worst:.3f}")
        figures |= {f"{prefix}{arm}_dice": round(mean, 4), f"{prefix}{arm}_worst": round(worst, 4)}
        figures[f"{prefix}{arm}_points"] = round(statistics.mean(gains), 2)
    return figures


def main() -> int:
    """Runs all cells and prints the figures."""
    parser = options(__doc__, "runs/adaptive")
    parser.add_argument("--rivals", action="store_true", help="all arms in the equal scenario too")
    parser.add_argument("--terms", action="store_true", help="also each term of adaptive alone")
    parser.add_argument(
        "--adaptive", action="append", default=[], metavar="KEY=VALUE", help="of adaptive"
    )
    args = parser.parse_args()
    found = computed(
        cells_of(args),
        args,
        run_cell,
        lambda own: f"{mean_of(own):.3f}, worst site {worst_of(own):.3f}",
    )
    figures: dict[str, float] = {}
    for scenario in SCENARIOS:
        figures |= report(scenario, found)
    lost = figures[f"equal_{MEAN}_dice"] - figures[f"{MEAN}_dice"]
    figures["ceiling_points"] = round(100 * lost, 2)
    print(json.dumps(figures | {"seeds": len({cell.seed for cell in found})}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
