"""What a rule makes of the sites' validation of the model that they received."""

from collections.abc import Mapping

from fedvox.aggregation.selection import pool_validation, selection_score
from fedvox.aggregation.update import Update


def site_dice(updates: Mapping[str, Update]) -> dict[str, float]:
    """Mean validation Dice over modalities of each site that has any that counts.

    Args:
        updates: site -> update; its ``validation`` was screened.
    """
    reports = {site: pool_validation([own.validation]) for site, own in sorted(updates.items())}
    found = {site: selection_score(report) for site, report in reports.items()}
    return {site: dice for site, dice in found.items() if dice is not None}


def filled(values: Mapping[str, float], sites: Mapping[str, object]) -> dict[str, float] | None:
    """A value for every site: who has none counts as the mean of the others.

    Args:
        values: site -> value, of some of the sites.
        sites: those that need one.

    Returns:
        None where nobody has one.
    """
    if not values:
        return None
    mean = sum(values[site] for site in sorted(values)) / len(values)
    return {site: values.get(site, mean) for site in sorted(sites)}
