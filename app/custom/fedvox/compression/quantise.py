"""Stochastic quantisation: a sign and a level between the smallest and the largest of a block."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quantised:
    """Values on the levels of their blocks.

    Args:
        codes: ``uint8 (N,)``: the level in the lower ``bits - 1`` bits, the sign above them.
        low: smallest magnitude of each block, ``float32``.
        high: largest magnitude of each block, ``float32``.
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
    """Rounds each magnitude to one of two neighbouring levels so that it is kept in the mean.

    With ``m`` from the block's smallest magnitude ``l`` to its largest ``h`` and ``s`` steps, the
    level is ``floor((m - l) / (h - l) * s + u)``, ``u ~ U[0, 1)``.

    Args:
        values: finite float32 ``(N,)``.
        bits: 2 to 8; one is the sign, the others give ``s = 2 ** (bits - 1) - 1``.
        block: values that share a range; the last block may be shorter.
        generator: the only source of randomness.

    Reference:
        Alistarh et al., "QSGD", NeurIPS 2017, arXiv 1610.02132, section 3.1. There levels reach
        from 0 to the norm. Values that top-k has left lie far from 0 and close to one another, so
        levels between the extremes lose less: at 2 bits none of them is rounded to 0.

    Example:
        >>> values = np.array([-1, 3, 1.5, -2], np.float32)
        >>> quantised = quantise(values, 2, 4, np.random.default_rng(0))
        >>> dequantise(quantised, 2, 4).tolist()
        [-1.0, 3.0, 1.0, -1.0]
    """
    if not len(values):
        return Quantised(np.zeros(0, np.uint8), values, values)
    magnitude, top = np.abs(values), _steps(bits)
    starts = np.arange(0, len(values), block)
    low, high = (extreme.reduceat(magnitude, starts) for extreme in (np.minimum, np.maximum))
    step = (high - low) / np.float32(top)
    step[step == 0] = 1
    magnitude -= _spread(low, block, len(values))
    magnitude /= _spread(step, block, len(values))
    magnitude += generator.random(len(values), np.float32)
    codes = np.minimum(magnitude, top).astype(np.uint8)
    codes |= np.signbit(values).astype(np.uint8) << (bits - 1)
    return Quantised(codes, low, high)


def dequantise(quantised: Quantised, bits: int, block: int) -> np.ndarray:
    """The values that a receiver gets, float32 ``(N,)``, bit for bit the same on every CPU.

    Args:
        quantised: of this ``bits`` and ``block``.
        bits: 2 to 8.
        block: values that share a range.
    """
    codes, count, top = quantised.codes, len(quantised.codes), _steps(bits)
    step = (quantised.high - quantised.low) / np.float32(top)
    with np.errstate(over="ignore"):  # beyond the largest float32, before the minimum
        values = (codes & np.uint8(top)).astype(np.float32)
        values *= _spread(step, block, count)
        values += _spread(quantised.low, block, count)
    np.minimum(values, _spread(quantised.high, block, count), out=values)
    values.view(np.uint32)[...] |= (codes >> (bits - 1)).astype(np.uint32) << 31
    return values


def _steps(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def _spread(per_block: np.ndarray, block: int, count: int) -> np.ndarray:
    """One number per value instead of one per block."""
    return np.repeat(per_block, block)[:count]
