"""FedPID: cases, and how much the loss fell in this round and since the first."""

from collections.abc import Mapping

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.plain import cases_text
from fedvox.aggregation.weighing.settings import FedPIDSettings
from fedvox.aggregation.weighing.share import Share, Shares
from fedvox.aggregation.weighing.validation import filled, site_dice

MEMORY = "fedpid"
"""Its numbers in the memory: ``first`` and ``last`` loss by site."""


def fedpid(
    updates: Mapping[str, Update],
    read: ReadTensor,
    model: Arrays,
    memory: Memory,
    settings: FedPIDSettings,
) -> tuple[Shares, Memory]:
    """``w_k = α n_k / Σ n + β k_k / Σ k + γ m_k / Σ m``.

    ``k_k`` is how much the loss of site k fell since its round before, ``m_k`` since its first. A
    site without a drop to tell (no validation case, or new) counts as the mean of the others.

    Where it deviates: the loss is 1 − Dice of the *received* model on the site's validation cases,
    which is what the server knows, not the cost of the site's own model after training. A loss that
    rose counts as a drop of 0, and a term whose drops are all 0 leaves its weight to the cases;
    weights would else be negative or not defined. The paper's choice of training steps by the size
    of a site is left out: all sites train the job's steps.

    Reference:
        Mächler et al., "FedPID: An Aggregation Method for Federated Learning", FeTS 2024,
        arXiv:2411.02152; α, β, γ = 0.45, 0.45, 0.1 as in FedPIDAvg, arXiv:2304.12117.

    Example:
        >>> def updates(a, b):
        ...     return {
        ...         s: Update(site=s, arrays={}, cases=10, steps=50, validation={"mr": (dice, 2)})
        ...         for s, dice in (("a", a), ("b", b))
        ...     }
        >>> _, memory = fedpid(updates(0.2, 0.2), None, {}, Memory(), FedPIDSettings())
        >>> shares, _ = fedpid(updates(0.5, 0.3), None, {}, memory, FedPIDSettings())
        >>> {site: round(share.weight, 4) for site, share in shares.items()}
        {'a': 0.6375, 'b': 0.3625}
    """
    losses = {site: 1 - dice for site, dice in site_dice(updates).items()}
    known = memory.numbers.get(MEMORY, {"first": {}, "last": {}})
    cases = _shares({site: float(update.cases) for site, update in sorted(updates.items())})
    drop = _shares(_drops(losses, known["last"], updates)) or cases
    total = _shares(_drops(losses, known["first"], updates)) or cases
    shares = {}
    for site, update in sorted(updates.items()):
        parts = (cases[site], drop[site], total[site])
        factors = (settings.share, settings.drop, settings.total)
        weight = sum(f * part for f, part in zip(factors, parts, strict=True))
        terms = dict(zip(("share_of_cases", "share_of_drop", "share_of_total"), parts, strict=True))
        terms |= {"loss": losses[site]} if site in losses else {}
        shares[site] = Share(weight, f"{cases_text(update)}, FedPID", terms)
    kept = {"first": {**losses, **known["first"]}, "last": {**known["last"], **losses}}
    return shares, Memory({}, {MEMORY: kept})


def _drops(
    losses: Mapping[str, float], before: Mapping[str, float], updates: Mapping[str, Update]
) -> dict[str, float]:
    """How much each site's loss fell, 0 where it rose; all 0 where nobody can tell."""
    told = {site: max(before[site] - loss, 0.0) for site, loss in losses.items() if site in before}
    return filled(told, updates) or dict.fromkeys(sorted(updates), 0.0)


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    """Values over their sum; empty where that is 0."""
    total = sum(values.values())
    return {site: value / total for site, value in values.items()} if total else {}
