"""Which global model is the best: the mean over modalities of validation Dice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ModalityScores = Mapping[str, tuple[float, int]]


def pool_validation(reports: Sequence[ModalityScores]) -> dict[str, float]:
    """Mean Dice per modality over all sites' validation cases.

    Args:
        reports: per site, modality -> (mean Dice, cases).
    """
    totals: dict[str, tuple[float, int]] = {}
    for report in reports:
        for modality, (dice, cases) in report.items():
            known, count = totals.get(modality, (0.0, 0))
            totals[modality] = (known + dice * cases, count + cases)
    return {name: total / count for name, (total, count) in sorted(totals.items()) if count}


def selection_score(validation: Mapping[str, float]) -> float | None:
    """Mean over modalities, each counting once however many cases it has; None without any."""
    if not validation:
        return None
    return sum(validation.values()) / len(validation)


@dataclass(frozen=True)
class Best:
    """The best global model so far.

    Attributes:
        version: rounds that the model has behind it.
        score: mean over modalities of validation Dice.
    """

    version: int
    score: float


def better(best: Best | None, version: int, validation: Mapping[str, float]) -> Best | None:
    """Keeps or replaces the best model; on a tie the later model wins.

    Returns:
        The new best, or ``best`` when the candidate is worse or was not validated.
    """
    score = selection_score(validation)
    if score is None or (best is not None and score < best.score):
        return best
    return Best(version, score)
