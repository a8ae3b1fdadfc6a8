"""Agreement of names: do a site's cases mean the same by each organ's name?

An organ has much the same intensity and place beside the others in every case of a site. A label
whose organs were exchanged follows the image's borders all the same, but what it calls liver is
like the other cases' spleen. A site that exchanged them in all its cases agrees with itself, and is
not found.
"""

from collections.abc import Mapping, Sequence

import numpy as np

LEAST_VOXELS = 30
"""Of an organ, before its profile is taken."""
LEAST_CASES = 5
"""With an organ, before its usual profile is known."""
CHANCE, SURE = 0.5, 0.9
"""Share of a case's organs that are most like their namesakes: worth 0 up to the first, 1 from the
second on."""
TO_SD = 1.4826
"""Median absolute deviation to the standard deviation of normal numbers."""

Profiles = Mapping[int, np.ndarray]
"""Organ's value -> median of each channel within it, then its centre beside the labels' centre."""


def profiles_of(image: np.ndarray, label: np.ndarray, organs: int) -> dict[int, np.ndarray]:
    """What a case's organs look like and where they lie.

    Args:
        image: ``(C, X, Y, Z)``.
        label: ``(X, Y, Z)``, organ i has the value i + 1.
        organs: of the job.
    """
    places = np.argwhere((label > 0) & (label <= organs))
    values = label[tuple(places.T)]
    centre = places.mean(axis=0) if len(places) else np.zeros(3)
    found = {}
    for value in range(1, organs + 1):
        own = places[values == value]
        if len(own) >= LEAST_VOXELS:
            medians = np.median(image[:, own[:, 0], own[:, 1], own[:, 2]], axis=1)
            found[value] = np.concatenate([medians, own.mean(axis=0) - centre])
    return found


def name_quality(cases: Sequence[Profiles]) -> list[float | None]:
    """How well each case's names agree with those of the others.

    A profile is compared with the median profile of every organ, each feature in units of its usual
    deviation; it should be nearest to that of its own name.

    Args:
        cases: profiles of cases of one modality, all on grids of one spacing.

    Returns:
        0 to 1 for each case; None where it has no organ that is known well enough, or only one is.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> right = [{1: rng.normal(0.2, 0.02, 4), 2: rng.normal(0.8, 0.02, 4)} for _ in range(6)]
        >>> name_quality([*right, {1: right[0][2], 2: right[0][1]}])
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """
    usual = {}
    for value in sorted({value for case in cases for value in case}):
        own = [case[value] for case in cases if value in case]
        if len(own) >= LEAST_CASES:
            usual[value] = np.median(own, axis=0)
    if len(usual) < 2:
        return [None] * len(cases)
    apart = [
        np.abs(case[value] - usual[value]) for case in cases for value in case if value in usual
    ]
    scale = np.maximum(TO_SD * np.median(apart, axis=0), 1e-6)
    return [_agreement(case, usual, scale) for case in cases]


def names_by_channels(sets: Sequence[str], profiles: Sequence[Profiles]) -> list[float | None]:
    """:func:`name_quality` of cases some of which lack channels.

    A case is held against all cases that have its channels, by these alone: few cases may lack the
    same ones.

    Args:
        sets: modality set of each case, e.g. ``"ct"`` or ``"t1+flair"``, in the order of channels.
        profiles: of each case, by the channels that it has.

    Returns:
        As :func:`name_quality` does, in the order of the cases.
    """
    found: list[float | None] = [None] * len(profiles)
    for own in set(sets):
        kind = own.split("+")
        pool = [place for place, other in enumerate(sets) if set(kind) <= set(other.split("+"))]
        told = name_quality([_restricted(profiles[p], sets[p].split("+"), kind) for p in pool])
        for place, agreement in zip(pool, told, strict=True):
            if sets[place] == own:
                found[place] = agreement
    return found


def _restricted(case: Profiles, held: Sequence[str], kind: Sequence[str]) -> Profiles:
    """A case's profiles by some of the channels that it has, and by place."""
    if len(held) == len(kind):
        return case
    kept = [held.index(name) for name in kind]
    return {value: np.concatenate([own[kept], own[len(held) :]]) for value, own in case.items()}


def _agreement(case: Profiles, usual: Profiles, scale: np.ndarray) -> float | None:
    right = []
    for value in set(case) & set(usual):
        far = {name: (((case[value] - own) / scale) ** 2).sum() for name, own in usual.items()}
        right.append(far[value] <= min(far.values()))
    return float(np.clip((np.mean(right) - CHANCE) / (SURE - CHANCE), 0, 1)) if right else None
