"""What noise costs and what it hides: Dice, and how well members are told from others.

Two sites with few patients each, jobs/fedgin in process, from the same data, initial weights and
draws. The attack has the final model and a case: of the cases that trained and of as many that did
not, the one with the smaller loss is called a member (Yeom et al., CSF 2018). `auc` is the share of
pairs that it orders right: 0.5 is a guess. Training has no augmentation by GIN and few cases, so
that there is something to hide.

    none         no noise
    clip         the same clip and next to no noise: what clipping costs by itself
    numbers      noise on updates as a multiple of the clip; epsilon at delta 1e-5 of all rounds,
                 for all cases of a site at once
    case NUMBER  noise in each training step (DP-SGD), for each case; case clip is next to none

Each cell (arm, seed) is kept in --out when it is done.

Example:
    python benchmarks/privacy.py
    python benchmarks/privacy.py --seeds 2 --only "none,0.01,case 1"
    python benchmarks/privacy.py --quick
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cells import (
    SMALLEST,
    Cell,
    by_arm,
    chosen,
    computed,
    interval,
    open_sites,
    options,
    points,
    seeded,
)

if TYPE_CHECKING:
    import torch

    from fedvox.data.cases.prepared import PreparedCase
    from fedvox.job.settings import JobSettings

JOB = Path(__file__).parents[1] / "jobs/fedgin/app/config/training.json"
CLIP = 20.0
CASE_CLIP = 1.0
NOISES: Mapping[str, float] = {
    "none": 0.0,
    "clip": 1e-6,
    "0.001": 0.001,
    "0.01": 0.01,
    "0.1": 0.1,
    "4": 4.0,
    "case clip": 1e-6,
    "case 0.01": 0.01,
    "case 0.1": 0.1,
    "case 1": 1.0,
    "case 4": 4.0,
}
COMMON = (
    "phantom.train=8",
    "phantom.val=2",
    "phantom.test=8",
    "data.spacing=[6,6,6]",
    "data.patch=[32,32,32]",
    "network.channels=[8,16,32]",
    "augmentation.name=none",
    "training.rounds=8",
    "training.steps=100",
    "training.device=cpu",
    "evaluation.site_models=false",
)
QUICK = (*SMALLEST, "network.channels=[4,8]", "training.rounds=2", "training.steps=2")


def wished(arm: str) -> tuple[str, ...]:
    """Overrides of an arm; the budget is large enough for all."""
    if not NOISES[arm]:
        return ()
    told = (f"privacy.noise={NOISES[arm]}", "privacy.epsilon=1e15")
    if arm.startswith("case"):
        return (*told, "privacy.unit=case", f"privacy.clip={CASE_CLIP}")
    return (*told, f"privacy.clip={CLIP}")


def case_loss(
    model: "torch.nn.Module", case: "PreparedCase", job: "JobSettings", device: "torch.device"
) -> float:
    """Mean over voxels of ``−log p`` of the true class."""
    from fedvox.inference.sliding import predict_scores

    scores = predict_scores(model, case.tensor("image"), job, device)
    true = scores.gather(0, case.tensor("label").long()[None])
    return float(-true.clamp(min=1e-6).log().mean())


def auc(members: list[float], others: list[float]) -> float:
    """Share of pairs in which the member has the smaller loss; ties count half."""
    pairs = [(m < o) + 0.5 * (m == o) for m in members for o in others]
    return sum(pairs) / len(pairs)


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """Trains one cell, scores it and attacks it."""
    from fedvox.job.device import prepare_device
    from fedvox.metrics.models import LAST
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import ALL_SITES
    from fedvox.training.arms import ArmModel, score_models
    from fedvox.training.in_process import received_part, run_in_process
    from fedvox.training.site_model import SiteModel, site_network

    sites, work, job = open_sites(cell, out), out / "work" / cell.name(), cell.job()
    result, device = run_in_process(sites, job, work), prepare_device(job.training)
    found = []
    for site in sites:
        model = SiteModel(site_network(job, site, device), site, job, work / site.name, device)
        network = model.load(received_part(result.last, model.travelling), job.training.rounds)
        count = min(len(site.train), len(site.test))
        losses = [
            [case_loss(network, case, job, device) for case in cases[:count]]
            for cases in (site.train, site.test)
        ]
        found.append(auc(*losses))
    rows = summarise(
        score_models({LAST: ArmModel(result.last, job, work, job.training.rounds)}, sites)
    )
    dice = [r.dice_mean for r in rows if r.site == ALL_SITES and r.organ == "mean"]
    told = [entry.get("epsilon") for entry in result.rounds[-1]["contributors"]]
    return {"dice": statistics.mean(dice), "auc": statistics.mean(found), "epsilon": told[0]}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command line asks for, seed by seed."""
    seeds, quick = (1, QUICK) if args.quick else (args.seeds, ())
    args.only = args.only or ("none,0.01,case 1" if args.quick else "")
    return [
        Cell(JOB, arm, seed, (*COMMON, *seeded(seed), *wished(arm), *quick, *args.set))
        for seed in range(seeds)
        for arm in chosen(NOISES, args)
    ]


def report(found: Mapping[Cell, Mapping[str, Any]]) -> dict[str, Any]:
    """Prints the arms and gives the figures."""
    arms = by_arm(found)
    figures: dict[str, Any] = {}
    print(f"\n{'noise':9s} {'epsilon':>9s} {'Dice':>6s}   {'against none, points':24s} AUC [95%]")
    for arm, results in arms.items():
        dice, attack = ([own[key] for own in results.values()] for key in ("dice", "auc"))
        plain = arms.get("none", {})
        gains = [100 * (own["dice"] - plain[s]["dice"]) for s, own in results.items() if s in plain]
        shown = points(gains) if gains and arm != "none" else ""
        epsilon = next(iter(results.values()))["epsilon"]
        told = "none" if epsilon is None else f"{epsilon:.3g}"
        spread = "[{:.2f}, {:.2f}]".format(*interval(attack)) if len(attack) > 1 else "[one seed]"
        print(
            f"{arm:9s} {told:>9s} {statistics.mean(dice):6.3f}   {shown:24s} "
            f"{statistics.mean(attack):.3f} {spread}"
        )
        figures[arm] = {
            "epsilon": epsilon,
            "dice": round(statistics.mean(dice), 4),
            "auc": round(statistics.mean(attack), 4),
        }
    return figures


def main() -> int:
    """Runs all cells and prints the figures."""
    parser = options(__doc__, "runs/privacy")
    parser.set_defaults(seeds=5)
    args = parser.parse_args()
    found = computed(
        cells_of(args), args, run_cell, lambda own: f"{own['dice']:.3f}, AUC {own['auc']:.2f}"
    )
    print(json.dumps({"arms": report(found), "seeds": len({cell.seed for cell in found})}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
