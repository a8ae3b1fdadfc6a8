"""Scores by modality subset: who was scored on which, and where a model does worst.

Where a job scores each test case on every subset of its modalities, a summary has one row per
subset. A case stands in it once per subset, so rows of different subsets are never pooled: a mean
over subsets is a mean of their means.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedvox.data.organs import CANONICAL, REGIONS
from fedvox.data.settings import parts
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN, SummaryRow

SUBSET_NOTE = (
    "global models are scored on every subset of a test case's modalities, so with fewer "
    "modalities they count more cases than the sites' own models, which get all that a case has"
)


def ordered_subsets(names: Iterable[str], channels: Sequence[str] = ()) -> list[str]:
    """Each subset once: single modalities first, the complete set last.

    Args:
        names: subsets as they stand in tables.
        channels: the job's; what is not among them follows as :func:`channels_of` says.

    Example:
        >>> ordered_subsets(["t1+t2", "t2", "t1"])
        ['t1', 't2', 't1+t2']
    """
    known = set(names)
    order = channels_of(known, channels)
    return sorted(known, key=lambda name: (len(parts(name)), sorted(map(order.index, parts(name)))))


def channels_of(names: Iterable[str], channels: Sequence[str] = ()) -> list[str]:
    """The modalities of some subsets in the job's order, as far as the names tell it.

    Args:
        names: subsets as they stand in tables, each in the job's order.
        channels: the job's, which come first.
    """
    largest_first = sorted(names, key=lambda name: (-len(parts(name)), name))
    found = [part for name in largest_first for part in name.split("+")]
    return list(dict.fromkeys([*channels, *found]))


def as_held(summary: Sequence[SummaryRow]) -> list[SummaryRow]:
    """The rows of modality sets that cases have with none left out, as far as a summary tells.

    At a site these are its largest sets, and smaller ones that more cases have than the larger ones
    account for; over all sites those of any site. So every case is in a row with all that it has,
    beside the sites' own models, which are scored on no other sets.

    Args:
        summary: rows of a run whose global models were scored on every subset.
    """
    own: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in summary:
        if row.site != ALL_SITES:
            cases = row.cases if row.organ == MEAN_ORGAN else 0
            own[row.site][row.modality] = max(own[row.site][row.modality], cases)
    held = {site: _held(counts) for site, counts in own.items()}
    if not held:
        return list(summary)
    held[ALL_SITES] = set().union(*held.values())
    return [row for row in summary if row.modality in held[row.site]]


def _held(counts: Mapping[str, int]) -> set[str]:
    """The sets that cases have with none left out, of how many cases have at least each set."""
    exactly: dict[str, int] = {}
    held = set()
    for name in sorted(counts, key=lambda name: -len(parts(name))):
        larger = [cases for other, cases in exactly.items() if parts(name) < parts(other)]
        exactly[name] = max(0, counts[name] - sum(larger))
        if exactly[name] or not larger:
            held.add(name)
    return held


@dataclass(frozen=True)
class SubsetScores:
    """One model's Dice by modality subset, over the cases of all sites or of one.

    Attributes:
        site: a site's name, or ``all``.
        rows: subset -> structure, or ``mean`` over organs -> row.
    """

    site: str
    rows: Mapping[str, Mapping[str, SummaryRow]]

    def dice(self, subset: str, organ: str = MEAN_ORGAN) -> float:
        """Mean Dice over cases, NaN where there is none."""
        row = self.rows.get(subset, {}).get(organ)
        return row.dice_mean if row else math.nan

    def cases(self, subset: str) -> int:
        """Cases with a Dice."""
        row = self.rows.get(subset, {}).get(MEAN_ORGAN)
        return row.cases if row else 0

    def mean_dice(self, organ: str = MEAN_ORGAN) -> float:
        """The mean of the subsets' means, as the field reports it; NaN without any."""
        known = [dice for name in self.rows if not math.isnan(dice := self.dice(name, organ))]
        return math.fsum(known) / len(known) if known else math.nan

    @property
    def organs(self) -> list[str]:
        """The structures of any row in the order of tables, ``mean`` last."""
        found = {organ for row in self.rows.values() for organ in row}
        order = [*CANONICAL, *REGIONS]
        known = sorted(found, key=lambda o: (order.index(o) if o in order else len(order), o))
        return [*(organ for organ in known if organ != MEAN_ORGAN), MEAN_ORGAN]

    @property
    def worst(self) -> str | None:
        """The subset of the lowest mean Dice over organs; of equal ones the first by name."""
        known = sorted(name for name in self.rows if not math.isnan(self.dice(name)))
        return min(known, key=self.dice, default=None)


def subset_scores(summary: Sequence[SummaryRow], model: str) -> list[SubsetScores]:
    """A model's scores over all sites, then at each site by name; empty for an unknown model.

    Args:
        summary: rows of :func:`fedvox.metrics.summary.summarise`.
        model: as in the column ``model``.
    """
    found: dict[str, dict[str, dict[str, SummaryRow]]] = defaultdict(lambda: defaultdict(dict))
    for row in summary:
        if row.model == model:
            found[row.site][row.modality][row.organ] = row
    sites = sorted(found, key=lambda site: (site != ALL_SITES, site))
    return [
        SubsetScores(site, {name: dict(own) for name, own in found[site].items()}) for site in sites
    ]


def worst_site(scores: Sequence[SubsetScores]) -> SubsetScores | None:
    """The site that has the lowest Dice of all sites and subsets; None for fewer than two sites.

    Args:
        scores: from :func:`subset_scores`.
    """
    sites = [own for own in scores if own.site != ALL_SITES and own.worst is not None]
    if len(sites) < 2:
        return None
    return min(sites, key=lambda own: own.dice(own.worst or ""))
