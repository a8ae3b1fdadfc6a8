"""What a job takes of this machine, measured in one short round with the site's own cases."""

import dataclasses
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from fedvox.doctor.data import Sample
from fedvox.errors import ConfigError, DataError, MemoryFull
from fedvox.inference.evaluate import validate
from fedvox.job.device import prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of
from fedvox.training.local_round import train_round

STEPS = 3
INTERVAL = 0.02
LEAST_MEMORY = 1.5 * 2**30
"""With less free memory a round is not tried: the system might end this process without a word."""


@dataclass(frozen=True)
class Measured:
    """One local round.

    Attributes:
        seconds: of a whole round, extrapolated.
        gpu: most bytes of the GPU's memory that were taken; 0 on a CPU.
        state: bytes of the site's model and optimiser state on disk.
    """

    seconds: float
    gpu: float
    state: float


def measure_round(sample: Sample, job: JobSettings) -> Measured:
    """Takes a few steps and validates one case.

    Raises:
        DataError: no case could be prepared.
        ConfigError: the round does not fit into the memory of the GPU or of the machine.
    """
    if not sample.ready:
        raise DataError("no usable case to measure with; mend the data first")
    device = prepare_device(job.training)
    try:
        return _measure(to_device(initial_model(job), device), sample, job, device)
    except (torch.OutOfMemoryError, MemoryFull) as error:
        on_gpu = device.type == "cuda" or isinstance(error, torch.OutOfMemoryError)
        raise ConfigError(
            f"a local round does not fit into {'the GPU' if on_gpu else 'this machine'}'s memory; "
            "end the other programs on it or ask for a job with a smaller training.batch or "
            "data.patch"
        ) from None


def _measure(model: nn.Module, sample: Sample, job: JobSettings, device: torch.device) -> Measured:
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    short = dataclasses.replace(job, training=dataclasses.replace(job.training, steps=STEPS))
    with tempfile.TemporaryDirectory() as name:
        result = train_round(model, sample.ready, short, "doctor", 0, Path(name), device)
        state = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
    start = time.monotonic()
    validate(model, sample.ready[:1], job, device)
    validation = (time.monotonic() - start) * sample.listed * 0.1
    seconds = 0.0 if result is None else result.seconds
    return Measured(
        seconds=seconds / STEPS * job.training.steps + validation,
        gpu=float(torch.cuda.max_memory_reserved(device)) if on_gpu else 0.0,
        state=state + sum(array.nbytes for array in weights_of(model).values()),
    )


class PeakMemory:
    """Largest resident memory of this process while the block runs, looked at every 20 ms.

    The process's own high-water mark would count what ran before the block.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        """Starts watching."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends watching."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            if self._stopped.wait(INTERVAL):
                return
