"""What a site sends of its update: compressed, what was left out kept for the rounds to come."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedvox.aggregation.update import Arrays
from fedvox.compression.error_feedback import send
from fedvox.compression.replica import difference, moved
from fedvox.compression.settings import coding
from fedvox.compression.threads import usable_threads
from fedvox.job.settings import JobSettings
from fedvox.seeding import derive_seed
from fedvox.training.state import load_residual, save_residual


@dataclass(frozen=True)
class SentUpdate:
    """A compressed update.

    Attributes:
        payload: what travels.
        arrays: the weights that the server reads from it.
    """

    payload: bytes
    arrays: dict[str, np.ndarray]


def compress_update(
    arrays: Arrays, received: Arrays, job: JobSettings, site: str, index: int, state: Path
) -> SentUpdate:
    """Compresses what training changed, with what earlier rounds left out, and keeps what is left.

    A round that is trained again starts from what was left before it and gives the same bytes.

    Args:
        arrays: the weights after local training.
        received: the weights that the site received, the same tensors.
        job: the job's settings, with a section ``compression``.
        site: the site's name; the quantiser's draws depend on it.
        index: the round, from 0.
        state: the site's state folder of this run.
    """
    assert job.compression is not None
    before = load_residual(state, index)
    made = send(
        {name: difference(array, received[name]) for name, array in arrays.items()},
        {name: array for name, array in before.items() if name in arrays},
        coding(job.compression, job.compression.up, index),
        derive_seed(job.training.seed, site, index, "up"),
        usable_threads(),
    )
    save_residual(made.residual, state, index)
    return SentUpdate(made.payload, moved({n: received[n] for n in arrays}, made.sent))
