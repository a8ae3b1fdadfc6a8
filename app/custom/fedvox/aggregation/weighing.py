"""How much each site's update counts: decided when all have come, by name.

A rule sees every accepted update with its screened claims, may read tensors, and has the memory of
the rounds before, to which it may add. One function each, one line in :data:`WEIGHING`.

Example:
    >>> registered = {"a": {"ct": 30}, "b": {"ct": 10}, "c": {"mr": 10}}
    >>> updates = {
    ...     site: Update(site=site, arrays={}, cases=sum(own.values()), steps=50, training=own)
    ...     for site, own in registered.items()
    ... }
    >>> for rule in ("cases", "steps", "uniform", "modality_first"):
    ...     shares, _ = WEIGHING[rule](updates, lambda site, name: {}[name], {}, Memory())
    ...     total = sum(share.weight for share in shares.values())
    ...     print(rule, {site: round(share.weight / total, 3) for site, share in shares.items()})
    cases {'a': 0.6, 'b': 0.2, 'c': 0.2}
    steps {'a': 0.333, 'b': 0.333, 'c': 0.333}
    uniform {'a': 0.333, 'b': 0.333, 'c': 0.333}
    modality_first {'a': 0.375, 'b': 0.125, 'c': 0.5}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.registry import Registry


@dataclass(frozen=True)
class Share:
    """What an update counts.

    Attributes:
        weight: positive; shares are these over their sum.
        reason: why, for the round's record.
        terms: the numbers behind it, by name, for the record.
    """

    weight: float
    reason: str
    terms: Mapping[str, float] = field(default_factory=dict)


Shares = dict[str, Share]
Weigh = Callable[[Mapping[str, Update], ReadTensor, Arrays, Memory], tuple[Shares, Memory]]
"""``(site -> update without arrays, (site, tensor) -> array, global model, memory) -> (shares, what
it remembers)``. That is laid over the memory (:meth:`Memory.extended`) and comes back next round
if this round's mean is taken; a rule that remembers nothing returns ``Memory()``. An update's
``cases`` are those that count: never more than the site registered; ``training`` are those that it
registered, by modality. What it claims to be of decides nothing."""

WEIGHING: Registry[Weigh] = Registry("client weight")


@WEIGHING.register("cases")
def by_cases(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Training cases, as FedAvg weighs.

    Reference:
        McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
        Data", AISTATS 2017.
    """
    shares = {
        site: Share(float(update.cases), f"{update.cases} training cases")
        for site, update in updates.items()
    }
    return shares, Memory()


@WEIGHING.register("steps")
def by_steps(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Optimiser steps."""
    shares = {
        site: Share(float(update.steps), f"{update.steps} steps")
        for site, update in updates.items()
    }
    return shares, Memory()


@WEIGHING.register("uniform")
def uniform(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Every site alike."""
    return {site: Share(1.0, "uniform") for site in updates}, Memory()


@WEIGHING.register("modality_first")
def modality_first(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """The mean within each modality by cases, then the mean over modalities.

    ``w_k = Σ_m (1/M) · n_km / Σ_j n_jm`` over the M modalities of the round, with ``n_km`` the
    training cases of modality m that site k registered. So ten CT hospitals do not drown one with
    MRI.
    """
    held = {site: _by_modality(update) for site, update in sorted(updates.items())}
    totals: dict[str, float] = {}
    for own in held.values():
        for name, cases in own.items():
            totals[name] = totals.get(name, 0.0) + cases
    shares = {}
    for site, own in held.items():
        weight = sum(cases / totals[name] for name, cases in own.items()) / len(totals)
        reason = f"{updates[site].cases} training cases, {len(totals)} modalities alike"
        shares[site] = Share(weight, reason)
    return shares, Memory()


def _by_modality(update: Update) -> dict[str, float]:
    """The cases of an update that count, spread as registered; of one modality where nobody did."""
    total = sum(update.training.values())
    if not total:
        return {"": float(update.cases)}
    return {name: update.cases * n / total for name, n in sorted(update.training.items()) if n}
