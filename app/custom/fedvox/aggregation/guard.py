"""Updates against those of other sites and rounds: bounds on their length, suspended sites.

A single update cannot say whether it is too long; the running median of all lengths can, as long as
most sites are honest. Two sites without a round behind them are not judged: nobody knows which of
the two is odd. Everything here is a function of what the server remembers and of one round, so a
round that is run again decides the same.
"""

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedvox.aggregation.memory import Memory
from fedvox.aggregation.screening_settings import ScreeningSettings

GUARD = "screening"
"""Its numbers in the memory: lengths by round, refusals in a row, suspended sites."""
FEWEST = 3
"""Lengths of one round whose median is trusted by itself."""


@dataclass(frozen=True)
class Judgement:
    """What a round makes of the updates that were taken.

    Attributes:
        shares: site -> share of its update's step that counts; who is not in it does not count.
        refused: site -> why it does not count.
        notes: what else the round's record shall say.
        memory: what the next round needs.
    """

    shares: Mapping[str, float]
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    memory: Memory = field(default_factory=Memory)


def running_median(now: Collection[float], before: Sequence[Sequence[float]]) -> float | None:
    """The length that updates are held against, None where there are too few.

    From three on it is this round's: lengths fall from round to round as a model settles, and an
    odd update may not hide behind those of the first.

    Args:
        now: lengths of this round's updates.
        before: those that counted, by round.

    Example:
        >>> running_median([1.0, 1.2, 900.0], [])
        1.2
        >>> running_median([0.5, 450.0], [[1.0, 1.2], [0.8, 1.0]])
        1.0
        >>> running_median([1.0, 900.0], []) is None
        True
    """
    moved = [length for length in now if length > 0]
    if len(moved) >= FEWEST:
        return statistics.median_low(moved)
    earlier = [length for own in before for length in own if length > 0]
    if not earlier:
        return None
    # Of two the shorter one: if both have grown, it has too, and an odd one is the longer.
    return max(statistics.median(earlier), min(moved) if len(moved) == 2 else 0.0)


def judge(
    lengths: Mapping[str, float],
    unfit: Collection[str],
    memory: Memory,
    settings: ScreeningSettings,
) -> Judgement:
    """Decides which of the updates that fit the model count, and how much of their step.

    Args:
        lengths: site -> root mean square of what its update changes, per weight.
        unfit: sites of which this round refused an update for what it holds.
        memory: what the round before left.
        settings: of the job.

    Example:
        >>> lengths = {"a": 1.0, "b": 1.1, "c": 3.6, "d": 900.0}
        >>> found = judge(lengths, [], Memory(), ScreeningSettings())
        >>> {site: round(share, 2) for site, share in found.shares.items()}
        {'a': 1.0, 'b': 1.0, 'c': 0.92}
        >>> found.refused["d"]
        'length: 818 times the running median of updates, at most 5 times is taken'
    """
    known: Mapping[str, Any] = memory.numbers.get(GUARD, {})
    before = known.get("lengths", [])
    median = running_median(lengths.values(), before)
    ratios = {site: 1.0 if median is None else own / median for site, own in lengths.items()}
    most = settings.refuse or float("inf")
    refused = {
        site: f"length: {ratio:.0f} times the running median of updates, at most {most:g} times is "
        "taken"
        for site, ratio in sorted(ratios.items())
        if ratio > most
    }
    good = sorted(set(lengths) - set(refused))
    standing = _Standing(known.get("refusals", {}), known.get("suspended", {}))
    following, notes = standing.after(good, {*unfit, *refused}, settings.suspend)
    for site in good:
        if site in standing.suspended:
            refused[site] = (
                f"suspended: good updates in a row {standing.suspended[site] + 1}, counts again "
                f"after {settings.suspend}"
            )
    bound = settings.clip or float("inf")
    shares = {s: min(1.0, bound / ratios[s]) for s in good if s not in refused and ratios[s]}
    shares |= {s: 1.0 for s in good if s not in refused and not ratios[s]}
    counted = [lengths[site] * share for site, share in sorted(shares.items())]
    numbers = {
        "lengths": [*before, counted][-settings.rounds :],
        "refusals": dict(following.refusals),
        "suspended": dict(following.suspended),
    }
    remembered = Memory({}, {GUARD: {**known, **numbers}})
    return Judgement(dict(sorted(shares.items())), refused, notes, remembered)


@dataclass(frozen=True)
class _Standing:
    """How the sites did in the rounds before.

    Attributes:
        refusals: site -> refused rounds in a row.
        suspended: site -> good rounds in a row since it was suspended.
    """

    refusals: Mapping[str, int]
    suspended: Mapping[str, int]

    def after(
        self, good: Collection[str], bad: Collection[str], limit: int
    ) -> tuple["_Standing", list[str]]:
        """The standing after a round, and what is to be said of it; who sent nothing stays."""
        refusals, suspended, notes = dict(self.refusals), dict(self.suspended), []
        for site in sorted(bad):
            refusals[site] = refusals.get(site, 0) + 1
            if site in suspended:
                suspended[site] = 0
            elif limit and refusals[site] >= limit:
                suspended[site] = 0
                notes.append(
                    f"{site} is suspended after {limit} refused updates in a row: look at its data "
                    f"and machine; {limit} good ones in a row bring it back by themselves"
                )
        for site in sorted(set(good) - set(bad)):
            refusals.pop(site, None)
            if site in suspended:
                suspended[site] += 1
                if suspended[site] >= limit:
                    del suspended[site]
                    notes.append(f"{site} is no longer suspended: its next update counts")
        return _Standing(refusals, suspended), notes
