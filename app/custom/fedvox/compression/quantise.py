"""Stochastic quantisation: a sign, and a level of a block between its smallest and largest value.

The levels lie equally far apart in the bit pattern of a float32, read as a whole number; so within
a factor of two they are equally far apart, and over many such factors they grow by equal factors.
All arithmetic of the receiver is of whole numbers and gives the same bits on every CPU.
"""

from dataclasses import dataclass

import numpy as np

REACH = np.uint32(1 << 24)
"""Two neighbouring levels differ by a factor of four at most: an exponent of 2, in the pattern."""


@dataclass(frozen=True)
class Quantised:
    """Values on the levels of their blocks.

    Args:
        codes: ``uint8 (N,)``: the level in the lower ``bits - 1`` bits, the sign above them.
        low: smallest magnitude of each block, ``float32``.
        high: highest level of each block, ``float32``, at least ``low``.
    """

    codes: np.ndarray
    low: np.ndarray
    high: np.ndarray


def blocks_of(count: int, block: int) -> int:
    """How many blocks so many values have."""
    return -(-count // block)


def quantise(
    values: np.ndarray, bits: int, block: int, generator: np.random.Generator
) -> Quantised:
    """Rounds each magnitude to one of its two neighbouring levels so that it is kept in the mean.

    A magnitude m between the levels a and b becomes b with probability ``(m - a) / (b - a)``. While
    ``b <= 4 a`` the expected squared error is at most ``9/16 m^2``, so that error feedback
    converges. A block may spread more, at 2 bits beyond a factor of 4, at 3 of 64, at 4 of 16384.
    Then its highest level may lie below its largest magnitude, at the one of three places that
    makes the expected error of the block least; what is above is sent as that level, and error
    feedback sends the rest later.

    Args:
        values: finite float32 ``(N,)``, none of them 0.
        bits: 2 to 8; one is the sign, the others give ``2 ** (bits - 1)`` levels.
        block: values that share their levels; the last block may be shorter.
        generator: the only source of randomness.

    Reference:
        Alistarh et al., "QSGD", NeurIPS 2017, arXiv 1610.02132, section 3.1. There levels reach
        from 0 to the norm, at equal distances. Values that top-k has left lie far from 0, so that
        levels from the smallest one on lose less; and they have heavy tails, for which equal
        distances waste most levels.

    Example:
        >>> values = np.array([-1, 3, 1.5, -2], np.float32)
        >>> quantised = quantise(values, 2, 4, np.random.default_rng(0))
        >>> dequantise(quantised, 2, 4).tolist()
        [-1.0, 3.0, 1.0, -3.0]
    """
    if not len(values):
        return Quantised(np.zeros(0, np.uint8), values, values)
    magnitude, starts = np.abs(values), np.arange(0, len(values), block)
    low, high = (extreme.reduceat(magnitude, starts) for extreme in (np.minimum, np.maximum))
    high = _best_high(magnitude, low, high, bits, block)
    level, below, above = _neighbours(magnitude, low, high, bits, block)
    draw = generator.random(len(values), np.float32)
    draw *= above - below
    level += draw < np.minimum(magnitude, above) - below
    codes = level.astype(np.uint8)
    codes |= np.signbit(values).astype(np.uint8) << (bits - 1)
    return Quantised(codes, low, high)


def _best_high(
    magnitude: np.ndarray, low: np.ndarray, high: np.ndarray, bits: int, block: int
) -> np.ndarray:
    """The highest level of each block: its largest magnitude, unless a limit costs less there."""
    first, last, reach = _pattern(low), _pattern(high), REACH * np.uint32(_steps(bits))
    wide = last - first > reach
    if not wide.any():
        return high
    starts, exact = np.arange(0, len(magnitude), block), magnitude.astype(np.float64)
    best, least = high, np.full(len(high), np.inf)
    for distance in (last - first, reach // 2, reach, reach * 2):
        limit = (first + np.minimum(last - first, distance)).view(np.float32)
        _, below, above = _neighbours(magnitude, low, limit, bits, block)
        inside = np.minimum(exact, above)
        errors = (inside - below) * (above - inside) + (exact - inside) ** 2
        error = np.add.reduceat(errors, starts)
        best = np.where(wide & (error < least), limit, best)
        least = np.minimum(error, least)
    return best


def _neighbours(
    magnitude: np.ndarray, low: np.ndarray, high: np.ndarray, bits: int, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per value the number of the level below it, that level, and the one above, or the highest."""
    first, step, last = _levels(low, high, bits, block, len(magnitude))
    level = (np.minimum(_pattern(magnitude), last) - first) // np.maximum(step, 1)
    below = first + step * level
    above = np.minimum(below + step, last)
    return level, below.view(np.float32), above.view(np.float32)


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
