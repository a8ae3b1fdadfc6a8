"""How much a site's update counts."""

from fedvox.aggregation.update import Update


def client_weight(update: Update, rule: str) -> tuple[float, str]:
    """Weight of an update and why, for the round's record.

    Args:
        update: a screened update.
        rule: ``cases`` (training cases), ``steps`` (optimiser steps) or ``uniform``.
    """
    if rule == "cases":
        return float(update.cases), f"{update.cases} training cases"
    if rule == "steps":
        return float(update.steps), f"{update.steps} steps"
    return 1.0, "uniform"
