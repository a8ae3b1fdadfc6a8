"""Sites with different sets of modalities: jobs/mixmfl against simpler ways, on brain phantoms.

One site has t1, t1ce, t2 and flair, one t1ce and flair, one t1. Arms of one seed share data, steps,
batches, seeds and the learning rate's schedule; each is jobs/mixmfl with overrides:

    zero_fill  a U-Net with a channel per modality; what is missing is 0
    channels   the same with modality dropout and batch normalisation that stays at the site (FedBN)
    mixmfl     the job
    local      the job's network trained at the four-modality site alone
    ensemble   the mean answer of all sites' models, each trained alone

--ablate adds the job without one part each, with compressed updates and, of as many steps in nine
times the rounds, both with and without them (often), the U-Net with modality dropout alone, and
simple arms of twice the steps, which take about as long as the job. Every arm is
scored on the unseen test cases of the four-modality site with each of the 15 sets of modalities:
mean Dice over whole tumour, core and enhancing part. Trained in process, which gives the
simulator's weights (see tests/jobs).

Each cell (arm, seed) is kept in --out when it is done: run again, only the missing ones are
computed.

Example:
    python benchmarks/mixmodal.py
    python benchmarks/mixmodal.py --ablate --workers 1
    python benchmarks/mixmodal.py --quick
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cells import SMALLEST, Cell, by_arm, chosen, computed, open_sites, options, points, seeded

if TYPE_CHECKING:
    from torch import nn

    from fedvox.data.site.site_data import SiteData

JOB = Path(__file__).parents[1] / "jobs/mixmfl/app/config/training.json"
SETS = ("t1+t1ce+t2+flair", "t1ce+flair", "t1")
COMMON = (
    f"phantom.modalities={json.dumps(SETS)}",
    "phantom.test=8",
    "evaluation.subsets=true",
    "training.device=cpu",
)
UNET = (
    "network.name=unet",
    "network.channels=[16,32,64,128]",
    "network.residual_units=0",
    "training.learning_rate=0.01",
)
"""The network of the simple arms with its learning rate, those of jobs/brats."""
ARMS: Mapping[str, tuple[str, ...]] = {
    "zero_fill": (*UNET, "training.modality_dropout=0"),
    "channels": (*UNET, "network.norm=batch", "training.personal=norm"),
    "mixmfl": (),
    "local": (),
    "ensemble": (),
}
ALONE = ("local", "ensemble")
"""Arms whose models are trained at one site each."""
TWICE = "training.steps=180"
"""Simple arms that take as long as the job does."""
OFTEN = ("training.rounds=45", "training.steps=10")
"""The job's steps in nine times its rounds."""
SMALL = (
    "compression.up.keep=0.2",
    "compression.up.bits=2",
    "compression.down.keep=0.45",
    "compression.down.bits=2",
    "compression.start=own",
)
"""Saves about 95% of the bytes: many coarse numbers, above all down, where what waits is missed."""
ABLATIONS: Mapping[str, tuple[str, ...]] = {
    "no_memory": ("network.prototypes=false",),
    "momentum_0.99": ("network.momentum=0.99",),
    "no_tailored": ("network.tailored=false", "network.prototypes=false"),
    "no_dropout": ("training.modality_dropout=0",),
    "no_distillation": ("network.self_distillation=0",),
    "compressed": SMALL,
    "often": OFTEN,
    "often_compressed": (*OFTEN, *SMALL),
    "channels_twice": (*UNET, "network.norm=batch", "training.personal=norm", TWICE),
    "dropout": UNET,
    "dropout_twice": (*UNET, TWICE),
}
QUICK = (
    *SMALLEST,
    "training.rounds=1",
    "training.steps=2",
)
REGIONS = ("tumour_whole", "tumour_core", "tumour_enhancing")


def trained(cell: Cell, sites: "Sequence[SiteData]", work: Path) -> "tuple[nn.Module, int]":
    """The arm's model as the four-modality site holds it, and the bytes that its training moved."""
    from fedvox.job.device import prepare_device
    from fedvox.training.in_process import received_part, run_in_process
    from fedvox.training.site_model import SiteModel, site_network

    job, first = cell.job(), sites[0]
    groups: list[Sequence[SiteData]] = [sites]
    if cell.arm in ALONE:
        groups = [[site] for site in sites[: 1 if cell.arm == "local" else None]]
    device, models, moved = prepare_device(job.training), [], 0
    for group in groups:
        folder = work / group[0].name
        result = run_in_process(group, job, folder)
        owner = first if len(group) > 1 else group[0]
        own = SiteModel(site_network(job, owner, device), owner, job, folder / owner.name, device)
        received = received_part(result.last, own.travelling)
        models.append(own.load(received, len(result.rounds), trains=False))
        moved += sum(record["bytes_up"] + record["bytes_down"] for record in result.rounds)
    model = models[0] if len(models) == 1 else Ensemble.of(models)
    return model, 0 if cell.arm in ALONE else moved


class Ensemble:
    """The mean answer of several networks."""

    @staticmethod
    def of(models: "Sequence[nn.Module]") -> "nn.Module":
        """A network whose logits are the log of the mean of the members' probabilities."""
        import torch
        from torch import nn

        class Mean(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.members = nn.ModuleList(models)

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                answers = [member(image).float().log_softmax(1) for member in self.members]
                return torch.stack(answers).logsumexp(0)

        return Mean()


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """Trains and scores one cell."""
    from fedvox.inference.site_rows import site_rows
    from fedvox.job.device import prepare_device

    start = time.monotonic()
    sites, job = open_sites(cell, out), cell.job()
    model, moved = trained(cell, sites, out / "work" / cell.name())
    seconds = time.monotonic() - start
    rows = site_rows(
        model, "global_last", sites[0], job, "test", prepare_device(job.training), subsets=True
    )
    dice: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.organ in REGIONS and row.dice == row.dice:
            dice.setdefault(row.modality, {}).setdefault(row.organ, []).append(row.dice)
    means = {held: {o: statistics.mean(d) for o, d in own.items()} for held, own in dice.items()}
    return {"dice": means, "bytes": moved, "train_seconds": round(seconds, 1)}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command line asks for, seed by seed."""
    seeds, quick = (1, QUICK) if args.quick else (args.seeds, ())
    arms = chosen({**ARMS, **(ABLATIONS if args.ablate else {})}, args)
    return [
        Cell(JOB, arm, seed, (*COMMON, *seeded(seed), *quick, *changes, *args.set))
        for seed in range(seeds)
        for arm, changes in arms.items()
    ]


def mean_of(result: Mapping[str, Any], single: bool = False) -> float:
    """Mean Dice over regions and sets of modalities, or over the sets of one."""
    chosen = [own for held, own in result["dice"].items() if not single or "+" not in held]
    return statistics.mean(value for own in chosen for value in own.values())


def saved(
    arms: Mapping[str, Mapping[int, Mapping[str, Any]]], whole: str, small: str
) -> dict[str, float]:
    """What compression saves of an arm's bytes and changes of its Dice; nothing without both arms.

    Args:
        arms: arm -> seed -> result.
        whole: the arm whose messages are whole.
        small: the same with compressed ones.
    """
    if not {whole, small} <= set(arms):
        return {}
    pairs = [(arms[whole][seed], own) for seed, own in arms[small].items()]
    shares = [1 - own["bytes"] / plain["bytes"] for plain, own in pairs]
    gains = [100 * (mean_of(own) - mean_of(plain)) for plain, own in pairs]
    return {
        f"{small}_saved": round(statistics.mean(shares), 4),
        f"{small}_points": round(statistics.mean(gains), 3),
    }


def report(found: Mapping[Cell, Mapping[str, Any]]) -> dict[str, float]:
    """Prints the arms and the sets of modalities, and gives the figures."""
    arms = by_arm(found)
    figures: dict[str, float] = {}
    heads = f"{'15 sets':>8s} {'one':>6s} {'all':>6s} {'MB':>7s}"
    print(f"\n{'':16s} {heads}   mixmfl is better by, points [95%]")
    for arm, results in arms.items():
        mean = statistics.mean(map(mean_of, results.values()))
        single = statistics.mean(mean_of(own, single=True) for own in results.values())
        whole = statistics.mean(
            statistics.mean(own["dice"]["+".join(SETS[0].split("+"))].values())
            for own in results.values()
        )
        paired = ""
        if arm != "mixmfl" and "mixmfl" in arms:
            gains = [100 * (mean_of(arms["mixmfl"][s]) - mean_of(r)) for s, r in results.items()]
            paired = points(gains)
        seconds = statistics.mean(own["train_seconds"] for own in results.values())
        moved = statistics.mean(own["bytes"] for own in results.values()) / 1e6
        scores = f"{mean:8.3f} {single:6.3f} {whole:6.3f} {moved:7.1f}"
        print(f"{arm:16s} {scores}   {paired:24s} {seconds:5.0f} s")
        figures |= {f"{arm}_dice": round(mean, 4), f"{arm}_single_dice": round(single, 4)}
    figures |= saved(arms, "mixmfl", "compressed") | saved(arms, "often", "often_compressed")
    print(f"\n{'set':20s} " + " ".join(f"{arm[:13]:>13s}" for arm in arms))
    for held in next(iter(found.values()))["dice"]:
        values = [
            statistics.mean(v for own in results.values() for v in own["dice"][held].values())
            for results in arms.values()
        ]
        print(f"{held:20s} " + " ".join(f"{value:13.3f}" for value in values))
    return figures


def main() -> int:
    """Runs all cells and prints the figures."""
    parser = options(__doc__, "runs/mixmodal")
    parser.add_argument("--ablate", action="store_true", help="also the job without one part each")
    args = parser.parse_args()
    found = computed(
        cells_of(args),
        args,
        run_cell,
        lambda own: f"{mean_of(own):.3f}, one modality {mean_of(own, single=True):.3f}",
    )
    print(json.dumps(report(found) | {"seeds": len({cell.seed for cell in found})}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
