"""Contrasts of a body from tables: the signal of each tissue, moved a little in every scan."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from fedvox.phantoms.body import Contrast, Image
from fedvox.phantoms.scanners import scan_ct, scan_mr


def tabled_contrasts(
    tables: Mapping[str, Mapping[int, float]],
    alike: Sequence[Sequence[int]],
    agent_hu: float = math.inf,
) -> tuple[Contrast, ...]:
    """One contrast per table.

    Args:
        tables: name -> mean signal of every tissue id, in HU for ``ct``, else as a fraction of the
            brightest. Id 0 is air, which does not move in a CT.
        alike: groups of tissues that move together.
        agent_hu: what lies above it holds contrast agent, and how much of it arrives differs.
    """
    return tuple(
        Contrast(
            name,
            partial(_signals, name, table, alike, agent_hu),
            scan_ct if name == "ct" else scan_mr,
        )
        for name, table in tables.items()
    )


def _signals(
    name: str,
    table: Mapping[int, float],
    alike: Sequence[Sequence[int]],
    agent_hu: float,
    rng: np.random.Generator,
    seed: int,
) -> Image:
    means = np.array([table[tissue] for tissue in range(len(table))], np.float64)
    jitter = np.clip(rng.normal(size=len(means)), -2, 2)
    for group in alike:
        jitter[list(group)] = jitter[group[0]]
    if name == "ct":
        jitter[0] = 0.0
        return (means + np.where(means > agent_hu, 25.0, 7.0) * jitter).astype(np.float32)
    return (means * (1 + 0.07 * jitter)).astype(np.float32)
