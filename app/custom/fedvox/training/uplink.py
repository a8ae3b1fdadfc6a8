"""What a site sends of its update: compressed, what was left out kept for the rounds to come."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedvox.aggregation.update import Arrays
from fedvox.compression.error_feedback import check_residual, send
from fedvox.compression.replica import difference, moved
from fedvox.compression.settings import RECEIVED, coding
from fedvox.compression.threads import usable_threads
from fedvox.job.settings import JobSettings
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


def starting_weights(received: Arrays, job: JobSettings, index: int, state: Path) -> Arrays:
    """What a site trains on from: what it received, with ``compression.start`` at ``own`` plus what
    its own messages left out so far.

    Without the second part the site does not see steps that it took and has not sent, and takes
    them again. What it sends is the same sum either way.

    Args:
        received: the weights that the site received.
        job: the job's settings.
        index: the round, from 0.
        state: the site's state folder of this run.

    Reference:
        Xie et al., "CSER: Communication-Efficient SGD with Error Reset", NeurIPS 2020, arXiv
        2007.13221, section 3: a worker's model holds its own residual.
    """
    if job.compression is None or job.compression.start == RECEIVED:
        return received
    return moved(received, _left_out(received, index, state))  # compress_update starts there too


def compress_update(
    arrays: Arrays, received: Arrays, job: JobSettings, index: int, state: Path
) -> SentUpdate:
    """Compresses what training changed, with what earlier rounds left out, and keeps what is left.

    A round that is trained again starts from what was left before it and gives the same bytes.

    Args:
        arrays: the weights after local training from :func:`starting_weights`.
        received: the weights that the site received, the same tensors.
        job: the job's settings, with a section ``compression``.
        index: the round, from 0.
        state: the site's state folder of this run.
    """
    assert job.compression is not None
    held = {name: received[name] for name in arrays}
    before = _left_out(held, index, state)
    start = held if job.compression.start == RECEIVED else moved(held, before)
    made = send(
        {name: difference(array, start[name]) for name, array in arrays.items()},
        before,
        coding(job.compression, job.compression.up, index),
        usable_threads(),
    )
    save_residual(made.residual, state, index)
    return SentUpdate(made.payload, moved(held, made.sent))


def _left_out(held: Arrays, index: int, state: Path) -> dict[str, np.ndarray]:
    """What compression left out in earlier rounds, of these tensors."""
    before = {n: array for n, array in load_residual(state, index).items() if n in held}
    check_residual(before, held)
    return before
