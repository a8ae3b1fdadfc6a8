"""One of three hospitals sends bad updates from the second round on: what is left of the model.

    clean     all three send what they trained
    scaled    the third sends its step a thousand times as long
    flipped   the third sends its step with the sign turned, ten times as long

Each with FedVox' rounds as they are by default (screening, weighted mean) and with the aggregation
of a plain FLARE job (`plain`: its WeightedAggregationHelper, weights by cases, no screening), from
the same data, initial weights and draws. `lost_points` is what the bad site costs against the clean
run, paired by seed, in points of Dice on unseen patients of all three sites. Trained in process,
which gives the simulator's weights (see tests/jobs).

Each cell (arm, seed) is kept in --out when it is done: run again, only the missing ones are
computed.

Example:
    python benchmarks/bad_updates.py
    python benchmarks/bad_updates.py --seeds 3 --only clean,scaled
    python benchmarks/bad_updates.py --quick
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cells import SMALLEST, Cell, by_arm, chosen, computed, open_sites, options, points, seeded

if TYPE_CHECKING:
    from fedvox.aggregation.update import Arrays, Update
    from fedvox.data.site.site_data import SiteData
    from fedvox.job.settings import JobSettings

JOB = Path(__file__).parents[1] / "jobs/brats/app/config/training.json"
SITES = 3
COMMON = (
    f"phantom.modalities={json.dumps(['t1+t1ce+t2+flair'] * SITES)}",
    "phantom.train=8",
    "phantom.val=2",
    "phantom.test=4",
    "data.spacing=[4,4,4]",
    "data.patch=[32,32,32]",
    "network.channels=[8,16,32,64]",
    "training.rounds=8",
    "training.steps=40",
    "training.device=cpu",
)
QUICK = (
    *SMALLEST,
    "network.channels=[4,8]",
    "training.rounds=3",
    "training.steps=2",
)
FACTORS: Mapping[str, float] = {"clean": 1.0, "scaled": 1000.0, "flipped": -10.0}
"""What the third site's step is multiplied with from the second round on."""
PLAIN = "plain_"
ARMS: Mapping[str, float] = {
    f"{kind}{arm}": f for kind in ("", PLAIN) for arm, f in FACTORS.items()
}
REGIONS = ("tumour_whole", "tumour_core", "tumour_enhancing")


def trained(cell: Cell, sites: "Sequence[SiteData]", work: Path) -> "tuple[Arrays, int]":
    """The last global model, and in how many rounds the bad site counted."""
    from fedvox.aggregation.memory import Memory
    from fedvox.aggregation.run_state import RunState
    from fedvox.job.device import prepare_device
    from fedvox.job.model import initial_model
    from fedvox.job.weights import weights_of
    from fedvox.training.local_update import local_update
    from fedvox.training.site_model import SiteModel, site_network

    job, device, state = cell.job(), prepare_device(cell.job().training), RunState(work / "server")
    weights: Arrays = weights_of(initial_model(job))
    own = {
        s.name: SiteModel(site_network(job, s, device), s, job, work / s.name, device)
        for s in sites
    }
    memory, counted = Memory(), 0
    for index in range(job.training.rounds):
        updates = []
        for name, model in own.items():
            network = model.load(weights, index)
            update = local_update(network, model.site, job, index, work / name, device)
            assert update is not None
            bad = name == sites[-1].name and index > 0
            updates.append(stretched(update, weights, ARMS[cell.arm] if bad else 1.0))
        if cell.arm.startswith(PLAIN):
            weights = plain_mean(updates)
            counted += 1
        else:
            weights, record, memory = screened_mean(
                updates, index, weights, memory, job, state, sites
            )
            counted += sites[-1].name in {entry["site"] for entry in record["contributors"]}
    return weights, counted


def stretched(update: "Update", received: "Arrays", factor: float) -> "Update":
    """The update with its step multiplied; the same one where the factor is 1."""
    if factor == 1.0:
        return update
    arrays = {
        n: (received[n] + factor * (a - received[n])).astype(a.dtype)
        for n, a in update.arrays.items()
    }
    return replace(update, arrays=arrays)


def plain_mean(updates: "Sequence[Update]") -> "Arrays":
    """As a FLARE job without anything of its own aggregates."""
    from nvflare.app_common.aggregators.weighted_aggregation_helper import WeightedAggregationHelper

    helper = WeightedAggregationHelper()
    for update in updates:
        helper.add(dict(update.arrays), update.cases, update.site, update.round)
    found: dict[str, Any] = helper.get_result()
    return {name: array.astype(updates[0].arrays[name].dtype) for name, array in found.items()}


def screened_mean(
    updates: "Sequence[Update]",
    index: int,
    weights: "Arrays",
    memory: Any,
    job: "JobSettings",
    state: Any,
    sites: "Sequence[SiteData]",
) -> "tuple[Arrays, dict[str, Any], Any]":
    """A round as the server closes it."""
    from contextlib import suppress

    from fedvox.aggregation.round import Round
    from fedvox.errors import UpdateRefused
    from fedvox.job.round_rules import round_rules
    from fedvox.training.local_update import case_counts

    held = {site.name: case_counts(site.train) for site in sites}
    validation = {site.name: case_counts(site.val) for site in sites}
    current = Round(
        index,
        weights,
        state.store,
        round_rules(job),
        held,
        validation,
        memory,
        best=state.load_best,
    )
    for update in updates:
        with suppress(UpdateRefused):  # the record says why
            current.accept(update)
    following, record = current.close()
    state.finish_round(weights, following, record, current.memory)
    return following, record, current.memory


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """Trains and scores one cell; a model with numbers that are none scores 0."""
    import numpy as np

    from fedvox.metrics.models import LAST
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import ALL_SITES
    from fedvox.training.arms import ArmModel, score_models

    sites, work = open_sites(cell, out), out / "work" / cell.name()
    weights, counted = trained(cell, sites, work)
    if not all(np.isfinite(array).all() for array in weights.values()):
        return {"dice": 0.0, "counted": counted, "finite": False}
    job = cell.job()
    rows = summarise(score_models({LAST: ArmModel(weights, job, work, job.training.rounds)}, sites))
    dice = [r.dice_mean for r in rows if r.site == ALL_SITES and r.organ in REGIONS]
    return {"dice": statistics.mean(dice), "counted": counted, "finite": True}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command line asks for, seed by seed."""
    seeds, quick = (1, QUICK) if args.quick else (args.seeds, ())
    return [
        Cell(JOB, arm, seed, (*COMMON, *seeded(seed), *quick, *args.set))
        for seed in range(seeds)
        for arm in chosen(ARMS, args)
    ]


def report(found: Mapping[Cell, Mapping[str, Any]]) -> dict[str, float]:
    """Prints the arms and gives the figures."""
    arms = by_arm(found)
    figures: dict[str, float] = {}
    print(
        f"\n{'':16s} {'Dice':>6s}   {'lost against clean, points [95%]':34s} rounds of the bad site"
    )
    for arm, results in arms.items():
        mean = statistics.mean(own["dice"] for own in results.values())
        clean = arms.get(f"{PLAIN}clean" if arm.startswith(PLAIN) else "clean", {})
        lost = [100 * (clean[s]["dice"] - own["dice"]) for s, own in results.items() if s in clean]
        counted = statistics.mean(own["counted"] for own in results.values())
        shown = points(lost) if lost and not arm.endswith("clean") else ""
        print(f"  {arm:14s} {mean:6.3f}   {shown:34s} {counted:.1f}")
        figures[f"{arm}_dice"] = round(mean, 4)
        if shown:
            figures[f"{arm}_lost_points"] = round(statistics.mean(lost), 2)
            figures[f"{arm}_most_lost_points"] = round(max(lost), 2)
    return figures


def main() -> int:
    """Runs all cells and prints the figures."""
    parser = options(__doc__, "runs/bad_updates")
    parser.set_defaults(seeds=5)
    args = parser.parse_args()
    found = computed(cells_of(args), args, run_cell, lambda own: f"{own['dice']:.3f}")
    print(json.dumps(report(found) | {"seeds": len({cell.seed for cell in found})}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
