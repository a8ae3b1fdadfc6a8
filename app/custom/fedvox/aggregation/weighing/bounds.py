"""Shares between a smallest and a largest one, whatever the scores."""

from collections.abc import Mapping


def bounded(scores: Mapping[str, float], least: float, most: float) -> dict[str, float]:
    """Clips shares and renormalises them until the bounds hold for all: ``p_k = clip(λ s_k)``.

    λ is the one number with which the shares sum to 1, so the sites between the bounds keep their
    proportions. Where no shares of so many sites fit between the bounds, the bound that is in the
    way becomes ``1/n``.

    Args:
        scores: site -> positive score.
        least: smallest share, from 0.
        most: largest share, up to 1.

    Returns:
        The scores as they are, bit for bit, where their shares keep the bounds; else shares that
        sum to 1.

    Example:
        >>> bounded({"a": 3.0, "b": 1.0}, 0.1, 0.9)
        {'a': 3.0, 'b': 1.0}
        >>> bounded({"a": 8.0, "b": 1.0, "c": 1.0}, 0.1, 0.5)
        {'a': 0.5, 'b': 0.25, 'c': 0.25}
    """
    low, high = min(least, 1 / len(scores)), max(most, 1 / len(scores))
    total = sum(scores[site] for site in sorted(scores))
    if all(low <= score / total <= high for score in scores.values()):
        return dict(scores)

    def clipped(scale: float) -> dict[str, float]:
        return {site: min(max(scale * score, low), high) for site, score in scores.items()}

    def filled(scale: float) -> float:
        return sum(clipped(scale)[site] for site in sorted(scores))

    # 'filled' grows piecewise linearly; between two corners 1 is met by interpolation
    corners = sorted({edge / score for score in scores.values() for edge in (low, high)})
    above = next(place for place, corner in enumerate(corners) if _reaches(filled(corner)))
    if above == 0:
        return clipped(corners[0])
    lower, upper = corners[above - 1], corners[above]
    reached, rise = filled(lower), filled(upper) - filled(lower)
    return clipped(lower + (upper - lower) * (1 - reached) / rise)


def _reaches(total: float) -> bool:
    """Whether shares sum to 1, but for rounding: ``n · 1/n`` may miss it by some units."""
    return total >= 1 - 1e-12
