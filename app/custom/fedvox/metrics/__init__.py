"""Metrics by name, in the order of their columns. One file each, one line here."""

import math

from fedvox.metrics.dice import dice_score
from fedvox.metrics.hd95 import hausdorff_95
from fedvox.metrics.metric import Metric
from fedvox.metrics.nsd import surface_dice
from fedvox.privacy.forms import number, share
from fedvox.registry import Registry

MAIN = "dice"
"""The metric of intervals, headlines and the choice of the best model."""

METRICS: Registry[Metric] = Registry("metric")
METRICS.register(MAIN)(
    Metric(dice_score, "Dice", share(), better="higher", missed=0.0, invented=0.0)
)
METRICS.register("hd95")(
    Metric(
        hausdorff_95,
        "HD95",
        number(0.0, 1e5),
        better="lower",
        missed="diagonal",
        invented=math.nan,
        unit="mm",
        digits=1,
        surface=True,
    )
)
METRICS.register("nsd")(
    Metric(surface_dice, "NSD", share(), better="higher", missed=0.0, invented=0.0, surface=True)
)


def other_metrics() -> list[tuple[str, Metric]]:
    """All but the main one, in order."""
    return [(name, metric) for name, metric in METRICS.items() if name != MAIN]
