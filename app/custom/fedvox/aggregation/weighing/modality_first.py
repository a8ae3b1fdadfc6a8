"""The mean within each modality, then over modalities."""

from collections.abc import Mapping

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.plain import cases_text
from fedvox.aggregation.weighing.share import Share, Shares


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
        reason = f"{cases_text(updates[site])}, {len(totals)} modalities alike"
        shares[site] = Share(weight, reason)
    return shares, Memory()


def _by_modality(update: Update) -> dict[str, float]:
    """The cases of an update that count, spread as registered; of one modality where nobody did."""
    total = sum(update.training.values())
    if not total:
        return {"": float(update.cases)}
    return {name: update.cases * n / total for name, n in sorted(update.training.items()) if n}
