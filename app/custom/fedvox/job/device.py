"""Where and how precisely a site computes."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from fedvox.errors import ConfigError
from fedvox.job.settings import TrainingSettings


def prepare_device(settings: TrainingSettings) -> torch.device:
    """Chooses the device and makes the process deterministic with the job's thread count.

    On a CPU every operation is deterministic. A GPU has no deterministic form of some 3D
    operations; there the promise is Dice within 0.01.

    Raises:
        ConfigError: the job asks for a GPU and there is none.
    """
    torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Filling memory that is about to be written anyway took 7% of a GPU's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def choose_device(wanted: str) -> torch.device:
    """The CPU or, of several GPUs, the first that is visible to this process.

    Args:
        wanted: the job's ``training.device``: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: the job asks for a GPU and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise ConfigError("'training.device' is cuda and no GPU is usable; set it to auto or cpu")
    return torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")


def to_device(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Moves a model; on a GPU in channels-last layout, which tensor cores prefer."""
    if device.type == "cuda":
        return model.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return model.to(device)


def autocast(settings: TrainingSettings, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision on a GPU: bfloat16 where the card has it, else float16."""
    if device.type != "cuda" or settings.precision == "float32":
        return nullcontext()
    return torch.autocast("cuda", dtype=half_type())


def half_type() -> torch.dtype:
    """The card's 16-bit type for training."""
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def loss_scaler(settings: TrainingSettings, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss for float16; does nothing where it is not needed."""
    needed = device.type == "cuda" and settings.precision == "auto"
    return torch.amp.GradScaler(
        device.type, init_scale=2.0**12, enabled=needed and half_type() == torch.float16
    )


def out_of_memory(error: BaseException) -> bool:
    """True for what PyTorch raises when the memory of a GPU or of the machine is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("DefaultCPUAllocator", "out of memory", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


@contextmanager
def memory_errors(window: Sequence[int]) -> Iterator[None]:
    """Turns running out of memory into one line that says what to do.

    Args:
        window: edges of the windows that are computed, in voxels.

    Raises:
        ConfigError: names the memory that is too small.
    """
    size = "x".join(map(str, window))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        if isinstance(error, torch.OutOfMemoryError):
            raise ConfigError(
                f"the GPU has too little free memory for windows of {size} voxels; "
                "end other programs on it, or compute on the CPU"
            ) from None
        raise ConfigError(
            "this machine has too little free memory for the scan; end other programs, or compute "
            "on a larger machine"
        ) from None
