"""The global model as a site holds it, on disk: what the next compressed step starts from."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fedvox.compression.replica import replica_of
from fedvox.files import PRIVATE
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of
from fedvox.tensors import write_arrays

_FILE = "replica.safetensors"
_VERSION = "version"


@dataclass(frozen=True)
class Replica:
    """A version of the tensors that travel between a site and the server.

    Attributes:
        version: rounds that it has behind it.
        arrays: the tensors.
    """

    version: int
    arrays: dict[str, np.ndarray]

    @cached_property
    def name(self) -> str:
        """How the site tells the server what it holds."""
        return replica_of(self.version, self.arrays)


def save_replica(replica: Replica, state: Path) -> None:
    """Writes it atomically into the site's state folder of this run."""
    write_arrays(state / _FILE, replica.arrays, {_VERSION: str(replica.version)}, mode=PRIVATE)


def load_replica(job: JobSettings, names: Collection[str], state: Path) -> Replica:
    """The newest version that the site received; before the first, the job's initial model.

    The initial weights follow from the job's seed. On a machine that draws others the name of the
    replica tells, and the server sends its own.

    Args:
        job: the job's settings.
        names: the tensors that travel between the site and the server.
        state: the site's state folder of this run.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(state / _FILE), "np") as file:
            held = file.keys()
            arrays = {name: np.asarray(file.get_tensor(name)) for name in held}
            return Replica(int(file.metadata()[_VERSION]), arrays)
    except (FileNotFoundError, SafetensorError):  # a damaged one is as good as none
        weights = weights_of(initial_model(job))
        return Replica(0, {name: weights[name] for name in sorted(names)})


def drop_replica(state: Path) -> None:
    """Forgets it: the server then sends the whole model."""
    (state / _FILE).unlink(missing_ok=True)
