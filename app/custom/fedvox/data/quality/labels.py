"""Label plausibility: do a label's borders lie where the image changes?

Two voxels across the border of a right label differ more than two within it. The same label moved
aside by the organ's own size shows what chance does in that image: a label that lies beside its
organ, or belongs to another patient, does no better where it is than there. Nothing is learnt or
assumed of how organs look, so it holds for CT and MRI alike. It cannot see names that were
exchanged, nor what was not labelled at all.
"""

import itertools

import numpy as np

from fedvox.data.organs import IGNORED

LEAST_VOXELS = 30
"""Of an organ, before anything is said of it; and of pairs of its voxels."""
MOST_PAIRS = 3000
"""Pairs across the border, and within, that are looked at, evenly spread."""
STEP = 2
"""Distance of a pair, voxels: the one between may hold both tissues."""
LEAST_COPIES = 8
CHANCE, SURE = 1.0, 3.0
"""Standard deviations above the moved copies: up to the first a label is worth 0, from the second
on 1. Right labels lie near 5, wrong ones near 0."""
DIRECTIONS = np.array([s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)])


def label_quality(image: np.ndarray, label: np.ndarray, organs: int) -> float | None:
    """How far the label of a case stands out from copies that lie beside it, mean over its organs.

    Args:
        image: ``(C, X, Y, Z)``, the channels that the case has; gain and offset do not matter.
        label: ``(X, Y, Z)``, organ i has the value i + 1.
        organs: of the job.

    Returns:
        0 to 1; None where no organ has voxels enough.

    Example:
        >>> x, y, z = np.indices((24, 24, 24)) - 12
        >>> ball = (x**2 + y**2 + z**2 < 36).astype(np.uint8)
        >>> image = ball[None] + 0.1 * np.random.default_rng(0).normal(size=(1, 24, 24, 24))
        >>> label_quality(image, ball, 1), label_quality(image, np.roll(ball, 6, 0), 1)
        (1.0, 0.0)
    """
    found = [_stands_out(image, label, value) for value in range(1, organs + 1)]
    told = [value for value in found if value is not None]
    if not told:
        return None
    return float(np.clip((np.mean(told) - CHANCE) / (SURE - CHANCE), 0.0, 1.0))


def _stands_out(image: np.ndarray, label: np.ndarray, value: int) -> float | None:
    """Standard deviations by which an organ's border is sharper than that of its moved copies."""
    inside = label == value
    voxels = int(np.count_nonzero(inside))
    if voxels < LEAST_VOXELS:
        return None
    border, within = _pairs(inside, label != IGNORED)
    if min(border.shape[1], within.shape[1]) < LEAST_VOXELS:
        return None
    radius = (3 * voxels / (4 * np.pi)) ** (1 / 3)
    units = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    moves = np.rint(units * max(float(STEP), radius)).astype(int)
    own = _sharpness(image, border, within)
    copies = [_sharpness(image, *_moved(image, move, border, within)) for move in moves]
    chance = [score for score in copies if score is not None]
    if own is None or len(chance) < LEAST_COPIES or np.std(chance) == 0:
        return None
    return float((own - np.mean(chance)) / np.std(chance))


def _pairs(inside: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of voxels across the border of a mask and within it, each ``(2, N, 3)``."""
    box = tuple(
        slice(max(0, int(used[0]) - STEP), int(used[-1]) + STEP + 1)
        for others in ((1, 2), (0, 2), (0, 1))
        for used in [np.flatnonzero(inside.any(axis=others))]
    )
    inside, known, corner = inside[box], known[box], np.array([side.start for side in box])
    border: list[np.ndarray] = []
    within: list[np.ndarray] = []
    for axis in range(3):
        low, high = ([slice(None)] * 3 for _ in range(2))
        low[axis], high[axis] = slice(None, -STEP), slice(STEP, None)
        first, second = inside[tuple(low)], inside[tuple(high)]
        valid = known[tuple(low)] & known[tuple(high)]
        step = np.eye(3, dtype=int)[axis] * STEP
        for where, found in (((first ^ second) & valid, border), (first & second, within)):
            places = np.argwhere(where) + corner
            found.append(np.stack([places, places + step]))
    return _thinned(border), _thinned(within)


def _thinned(pairs: list[np.ndarray]) -> np.ndarray:
    """All pairs, or :data:`MOST_PAIRS` of them."""
    together = np.concatenate(pairs, axis=1)
    return together[:, :: max(1, -(-together.shape[1] // MOST_PAIRS))]


def _moved(image: np.ndarray, move: np.ndarray, *pairs: np.ndarray) -> list[np.ndarray]:
    """Pairs moved aside, less those that leave the image; none at all if most of them do."""
    found = []
    for own in pairs:
        there = own + move
        inside = ((there >= 0) & (there < image.shape[1:])).all(axis=(0, 2))
        found.append(there[:, inside] if inside.mean() >= 0.5 else there[:, :0])
    return found


def _sharpness(image: np.ndarray, border: np.ndarray, within: np.ndarray) -> float | None:
    """``b / (b + w)``: squared differences across the border and within, mean over channels."""
    if not (border.shape[1] and within.shape[1]):
        return None
    across, inner = (_difference(image, pairs) for pairs in (border, within))
    told = across + inner > 0
    return float((across[told] / (across + inner)[told]).mean()) if told.any() else None


def _difference(image: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mean squared difference of the voxels of each pair, by channel ``(C,)``."""
    first, second = (image[:, p[:, 0], p[:, 1], p[:, 2]].astype(np.float64) for p in pairs)
    mean: np.ndarray = ((first - second) ** 2).mean(axis=1)
    return mean
