"""Quantisation: a sign, and the nearest of a block's levels, which are fitted to its values.

The levels lie equally far apart in the bit pattern of a float32, read as a whole number; so within
a factor of two they are equally far apart, and over many such factors they grow by equal factors.
All arithmetic of the receiver is of whole numbers and gives the same bits on every CPU.

Rounding to the nearest level is biased, and stochastic rounding (QSGD) is not; but what a message
leaves out is added to the next one, so that a bias is made good, and the error of stochastic
rounding, from a block's smallest value to its largest, is two to thirteen times as large.
"""

from dataclasses import dataclass

import numpy as np

REFITS = 2
"""How often two levels move to the means of what is rounded to them; more of it gains little."""
MOST_REFITTED = 3
"""Bits up to which the outermost of more than two levels move so, once; beyond it gains little."""
REACH = np.uint32(1 << 24)
"""Two neighbouring levels should differ by a factor of four at most: an exponent of 2, in the
pattern."""
SPREAD = np.uint32(1 << 26)
"""A block whose extremes differ by a factor of 256 has small values that cost more levels than they
are worth, however many there are; what top-k leaves seldom has."""


@dataclass(frozen=True)
class Quantised:
    """Values on the levels of their blocks.

    Args:
        codes: ``uint8 (N,)``: the level in the lower ``bits - 1`` bits, the sign above them.
        low: lowest level of each block, ``float32``.
        high: highest level of each block, ``float32``, at least ``low``.
    """

    codes: np.ndarray
    low: np.ndarray
    high: np.ndarray


def blocks_of(count: int, block: int) -> int:
    """How many blocks so many values have."""
    return -(-count // block)


def quantise(values: np.ndarray, bits: int, block: int) -> Quantised:
    """Rounds each magnitude to the nearest level of its block.

    Two levels begin as the means of what lies below and above the block's mean, and move to the
    means of what is rounded to them. More of them reach from the smallest magnitude to the largest.
    Where these lie too far apart for the levels in between, they may reach less far up or down, and
    what lies beyond is sent as the outermost level; of some such ends those are taken that lose
    least. Error feedback sends the rest later.

    Args:
        values: finite float32 ``(N,)``, none of them 0.
        bits: 2 to 8; one is the sign, the others give ``2 ** (bits - 1)`` levels.
        block: values that share their levels; the last block may be shorter.

    Reference:
        Lloyd, "Least Squares Quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982. Levels per
        block: Alistarh et al., "QSGD", NeurIPS 2017, arXiv 1610.02132, section 3.1. There they
        reach from 0 to the norm, at equal distances. Values that top-k has left lie far from 0, so
        that levels from the smallest one on lose less; and they have heavy tails, for which equal
        distances waste most levels.

    Example:
        >>> values = np.array([-1, 3, 1.5, -2.5], np.float32)
        >>> dequantise(quantise(values, 2, 4), 2, 4).tolist()
        [-1.25, 2.75, 1.25, -2.75]
    """
    if not len(values):
        return Quantised(np.zeros(0, np.uint8), values, values)
    magnitude, starts = np.abs(values), np.arange(0, len(values), block)
    ends = np.minimum.reduceat(magnitude, starts), np.maximum.reduceat(magnitude, starts)
    if bits == 2:
        sums, counts = _by_level(magnitude, np.zeros(len(values), np.uint8), 1, block)
        upper = magnitude > _spread(sums / counts, block, len(values))
        ends = _means(magnitude, upper.astype(np.uint8), ends, bits, block)
        for _ in range(REFITS):
            ends = _means(magnitude, _nearest(magnitude, *ends, bits, block), ends, bits, block)
    else:
        ends = _best_ends(magnitude, ends, bits, block)
    codes = _nearest(magnitude, *ends, bits, block)
    codes |= np.signbit(values).astype(np.uint8) << (bits - 1)
    return Quantised(codes, *ends)


Ends = tuple[np.ndarray, np.ndarray]
"""The lowest and the highest level of each block."""


def _means(magnitude: np.ndarray, level: np.ndarray, ends: Ends, bits: int, block: int) -> Ends:
    """The lowest and the highest level of each block, at the means of what is rounded to them."""
    levels = _steps(bits) + 1
    sums, counts = _by_level(magnitude, level, levels, block)
    first, last = slice(None, None, levels), slice(levels - 1, None, levels)
    low, high = (
        np.where(counts[end] > 0, sums[end] / np.maximum(counts[end], 1), old).astype(np.float32)
        for end, old in zip((first, last), ends, strict=True)
    )
    return low, np.maximum(low, high)


def _by_level(
    magnitude: np.ndarray, level: np.ndarray, levels: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the magnitudes of each block and level, ``(blocks * levels,)``."""
    blocks = blocks_of(len(magnitude), block)
    place = _spread(np.arange(blocks) * levels, block, len(magnitude)) + level
    sums = np.bincount(place, magnitude, blocks * levels)
    return sums, np.bincount(place, minlength=blocks * levels)


def _best_ends(magnitude: np.ndarray, ends: Ends, bits: int, block: int) -> Ends:
    """The extremes of each block, or ends between them that lose less."""
    low, high = (end.copy() for end in ends)
    reach = REACH * np.uint32(_steps(bits))
    wide = _pattern(high) - _pattern(low) > min(reach, SPREAD)
    if wide.any():
        # a shorter last block stays the last one
        far = magnitude[_spread(wide, block, len(magnitude))]
        first, last = _pattern(low[wide]), _pattern(high[wide])
        span, tried = last - first, [(low[wide], high[wide])]
        for part in (reach // 2, reach, reach * 2):
            tried.append((low[wide], (first + np.minimum(span, part)).view(np.float32)))
        for part in (reach // 8, reach // 4, reach // 2, reach):
            tried.append(((last - np.minimum(span, part)).view(np.float32), high[wide]))
        low[wide], high[wide] = _best_of(tried, far, bits, block)
    if bits > MOST_REFITTED:
        return low, high
    level = _nearest(magnitude, low, high, bits, block)
    moved = _means(magnitude, level, (low, high), bits, block)
    return _best_of([(low, high), moved], magnitude, bits, block)


def _best_of(tried: list[Ends], magnitude: np.ndarray, bits: int, block: int) -> Ends:
    """Of each block the ends with which least is lost."""
    best = np.argmin([_loss(magnitude, ends, bits, block) for ends in tried], axis=0)
    low, high = (np.choose(best, list(choices)) for choices in zip(*tried, strict=True))
    return low, high


def _loss(magnitude: np.ndarray, ends: Ends, bits: int, block: int) -> np.ndarray:
    """The squared error of each block."""
    found = dequantise(Quantised(_nearest(magnitude, *ends, bits, block), *ends), bits, block)
    error = (magnitude.astype(np.float64) - found) ** 2
    return np.asarray(np.add.reduceat(error, np.arange(0, len(magnitude), block)))


def _nearest(
    magnitude: np.ndarray, low: np.ndarray, high: np.ndarray, bits: int, block: int
) -> np.ndarray:
    """Per value the number of the nearest level, ``uint8``."""
    first, step, last = _levels(low, high, bits, block, len(magnitude))
    pattern = np.clip(_pattern(magnitude), first, last)
    level = (pattern - first) // np.maximum(step, 1)
    below = first + step * level
    above = np.minimum(below + step, last)
    inside = pattern.view(np.float32)
    level += above.view(np.float32) - inside < inside - below.view(np.float32)
    return level.astype(np.uint8)


def dequantise(quantised: Quantised, bits: int, block: int) -> np.ndarray:
    """The values that a receiver gets, float32 ``(N,)``.

    Args:
        quantised: of this ``bits`` and ``block``.
        bits: 2 to 8.
        block: values that share their levels.
    """
    codes = quantised.codes
    first, step, last = _levels(quantised.low, quantised.high, bits, block, len(codes))
    patterns = (codes & np.uint8(_steps(bits))).astype(np.uint32)
    patterns *= step
    patterns += first
    np.minimum(patterns, last, out=patterns)
    patterns |= (codes >> (bits - 1)).astype(np.uint32) << 31
    return patterns.view(np.float32)


def _levels(
    low: np.ndarray, high: np.ndarray, bits: int, block: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per value the patterns of its lowest level, of the distance of levels and of the highest."""
    first, last = _pattern(low), _pattern(high)
    steps = _steps(bits)
    step = (last - first + np.uint32(steps - 1)) // steps
    return _spread(first, block, count), _spread(step, block, count), _spread(last, block, count)


def _steps(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def _pattern(magnitudes: np.ndarray) -> np.ndarray:
    """The bits of float32 values as whole numbers."""
    return magnitudes.view(np.uint32)


def _spread(per_block: np.ndarray, block: int, count: int) -> np.ndarray:
    """One number per value instead of one per block."""
    return np.repeat(per_block, block)[:count]
