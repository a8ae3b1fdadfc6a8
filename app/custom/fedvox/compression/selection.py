"""The k entries of largest magnitude without sorting them all.

The bits of a float32 without its sign, read as a whole number, rise with the magnitude. A
histogram of the upper 15 of these 31 bits finds the bucket of the k-th largest entry, one of the
lower 16 bits in that bucket finds its value: two passes with memory for the buckets only. A sample
tells before which entries are too small to be counted; if it is wrong, all are. Where many entries
equal the k-th, the first ones in the row are taken, so there are exactly k. Zeros are never taken.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

COARSE, FINE = 15, 16
STRIDE, SPARE = 61, 64
"""Every so many-th entry is a sample: a prime, since tensors have the periods of their shapes; and
entries of the sample that are counted beyond a tenth more than should suffice."""
INFINITE = 0x7F800000
"""Magnitude bits of infinity; those of NaN are larger."""

MAGNITUDE = np.uint32(0x7FFFFFFF)
Map = Callable[[Callable[[int], np.ndarray], range], list[np.ndarray]]


@dataclass(frozen=True)
class Cut:
    """What is taken of a row: all above a magnitude, and of those that equal it some.

    Args:
        bits: magnitude bits of the k-th largest entry.
        ties: per section how many entries of just this magnitude are taken.
    """

    bits: int
    ties: tuple[int, ...]


def magnitude_bits(values: np.ndarray) -> np.ndarray:
    """Bits of float32 values without the sign, as ``uint32`` that rise with the magnitude.

    Args:
        values: float32 ``(N,)``.
    """
    return values.view(np.uint32) & MAGNITUDE


def kept_count(keep: float, entries: int) -> int:
    """How many of so many entries are sent: the rounded share, at least one."""
    return min(entries, max(1, round(keep * entries)))


def find_cut(bits: Callable[[int], np.ndarray], sections: range, k: int, each: Map) -> Cut | None:
    """The magnitude that exactly k entries reach, ties counted from the row's beginning.

    Args:
        bits: section -> its magnitude bits ``(N,)``; called some times for each.
        sections: all.
        k: at least 1, at most the number of entries.
        each: applies a function to every section, maybe several at the same time.

    Returns:
        The cut, or None where an entry is infinite or not a number.
    """
    sample = np.concatenate(each(lambda section: bits(section)[::STRIDE].copy(), sections))
    coarse = _histogram(bits, sections, _floor(sample, k), each)
    if coarse.sum() < k:
        coarse = _histogram(bits, sections, 0, each)
    if coarse[INFINITE >> FINE :].any():
        return None
    bucket, above = _place(coarse, k)
    fine = each(lambda section: _fine(bits(section), bucket), sections)
    lower, beyond = _place(sum(fine), k - above)  # type: ignore[arg-type]
    edge = bucket << FINE | lower
    left, ties = k - above - beyond if edge else 0, []
    for counts in fine:
        ties.append(min(left, int(counts[lower])))
        left -= ties[-1]
    return Cut(edge, tuple(ties))


def _floor(sample: np.ndarray, k: int) -> int:
    """Magnitude bits that, by the sample, more than k entries of the row reach."""
    place = len(sample) - 1 - round(1.1 * k / STRIDE) - SPARE
    return int(np.partition(sample, place)[place]) if place > 0 else 0


def _histogram(
    bits: Callable[[int], np.ndarray], sections: range, floor: int, each: Map
) -> np.ndarray:
    """That of all sections, of what reaches ``floor``."""
    return np.sum(each(lambda section: _coarse(bits(section), floor), sections), axis=0)


def _coarse(bits: np.ndarray, floor: int) -> np.ndarray:
    """Histogram of the upper bits of what reaches ``floor``; counting costs more than leaving."""
    counted = bits.compress(bits >= floor) if floor else bits  # bits[...] takes thrice as long
    return np.bincount(counted >> FINE, minlength=1 << COARSE)


def _fine(bits: np.ndarray, bucket: int) -> np.ndarray:
    inside = bits[bits >> FINE == bucket] & 0xFFFF
    return np.bincount(inside, minlength=1 << FINE).astype(np.uint32)


def _place(counts: np.ndarray, k: int) -> tuple[int, int]:
    """The highest bucket that, with those above it, holds k; and what those above it hold."""
    sums = np.cumsum(counts[::-1], dtype=np.int64)
    place = int(np.searchsorted(sums, k))
    return len(counts) - 1 - place, int(sums[place - 1]) if place else 0


def select(bits: np.ndarray, cut: Cut, section: int) -> np.ndarray:
    """Positions of what is taken of a section, rising.

    Args:
        bits: magnitude bits ``(N,)``.
        cut: of the whole row.
        section: number of this section.
    """
    ties = cut.ties[section]
    mask = bits > cut.bits
    if ties:
        mask[np.flatnonzero(bits == cut.bits)[:ties]] = True
    return np.flatnonzero(mask)


def select_in_chunks(bits: np.ndarray, keep: float, chunk: int) -> np.ndarray | None:
    """Positions of the largest entries of each run of ``chunk``, rising.

    Args:
        bits: magnitude bits ``(N,)``.
        keep: share of each run.
        chunk: entries of a run; the last one may be shorter.

    Returns:
        The positions, or None where an entry is infinite or not a number.
    """
    full = len(bits) // chunk * chunk
    mask = _largest(bits[:full].reshape(-1, chunk), keep)
    rest = _largest(bits[full:].reshape(1, -1), keep)
    if bits.max() >= INFINITE:
        return None
    return np.flatnonzero(np.concatenate([mask, rest]))


def _largest(rows: np.ndarray, keep: float) -> np.ndarray:
    """Mask ``(R * N,)`` of the largest entries of each row of ``(R, N)``."""
    count, length = rows.shape
    if not count or not length:
        return np.zeros(0, bool)
    k = kept_count(keep, length)
    edge = np.partition(rows, length - k, axis=1)[:, length - k, None]
    mask = rows > edge
    equal = (rows == edge) & (edge > 0)
    left = k - np.count_nonzero(mask, axis=1, keepdims=True)
    if (np.count_nonzero(equal, axis=1, keepdims=True) > left).any():
        equal &= np.cumsum(equal, axis=1, dtype=np.int32) <= left
    return (mask | equal).reshape(-1)
