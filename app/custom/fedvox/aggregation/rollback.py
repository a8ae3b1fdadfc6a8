"""When a global model has become so much worse that the run goes back to the best one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedvox.aggregation.guard import GUARD
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.selection import pool_validation, selection_score

LEAST_FALL = 0.1
"""Points of Dice, as a share of 1, below which nothing is called a collapse."""


@dataclass(frozen=True)
class Fall:
    """How a round's received model did at the sites, against the best before it.

    Attributes:
        fallen: sites at which it fell far.
        asked: sites that can tell.
        memory: what the next round needs: each site's best.
    """

    fallen: int
    asked: int
    memory: Memory

    @property
    def collapsed(self) -> bool:
        """At more than half of the sites."""
        return 2 * self.fallen > self.asked

    def note(self, share: float) -> str:
        """Why the run goes back, for the round's record."""
        return (
            f"the validation Dice of the received model fell below {share:g} of the best so far at "
            f"{self.fallen} of {self.asked} sites: this round is left out, and the best earlier "
            "model is taken up again"
        )


def fall(
    scores: Mapping[str, Mapping[str, tuple[float, int]]], memory: Memory, share: float
) -> Fall:
    """Compares each site's validation of the received model with its own best before.

    A site that claims to have fallen is one voice; most must say so.

    Args:
        scores: site -> modality -> (mean Dice, cases), as far as registered.
        memory: what the round before left.
        share: ``screening.rollback``.

    Example:
        >>> first = fall({"a": {"ct": (0.8, 5)}, "b": {"mr": (0.7, 5)}}, Memory(), 0.5)
        >>> fall({"a": {"ct": (0.1, 5)}, "b": {"mr": (0.2, 5)}}, first.memory, 0.5).collapsed
        True
        >>> fall({"a": {"ct": (0.1, 5)}, "b": {"mr": (0.7, 5)}}, first.memory, 0.5).collapsed
        False
    """
    known: Mapping[str, Any] = memory.numbers.get(GUARD, {})
    best: dict[str, float] = dict(known.get("best", {}))
    fallen = asked = 0
    for site, own in sorted(scores.items()):
        dice = selection_score(pool_validation([own]))
        if dice is None:
            continue
        before = best.get(site)
        if before is not None:
            asked += 1
            fallen += dice < share * before and before - dice > LEAST_FALL
        best[site] = max(dice, before or 0.0)
    remembered = {GUARD: {**known, "best": best}} if best else {}
    return Fall(fallen, asked, Memory({}, remembered))
