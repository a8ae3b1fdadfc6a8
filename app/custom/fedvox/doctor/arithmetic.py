"""Does this machine convolve right, in every precision that training uses here?

Two ways, since neither is enough: a small 3D convolution with its gradients against float64, which
finds kernels that are wrong at any size; and a list of releases whose kernels are wrong, or much
slower, at sizes that a check of a second does not reach.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.job.device import half_type

CHECK = "arithmetic"
ERRORS = {"float32": 2e-5, "TF32": 5e-3, "float16": 1e-2, "bfloat16": 4e-2}
"""Largest error that rounding explains, as a share of the largest value; 4 to 10 times what right
kernels show."""
SHAPE, CHANNELS, KERNEL = (2, 16, 20, 20, 20), 16, 3
REMEDY = "install the versions of requirements-gpu.lock, or set training.device to cpu"

Version = tuple[int, int, int]


@dataclass(frozen=True)
class KnownRelease:
    """Releases with a fault that was reported to PyTorch.

    Attributes:
        first: the oldest that has it, of cuDNN or PyTorch.
        fixed: the oldest after it that has not.
        of_torch: it is PyTorch's version, not cuDNN's.
        fault: what they do.
    """

    first: Version
    fixed: Version
    of_torch: bool
    fault: str


KNOWN = (
    KnownRelease((9, 8, 0), (9, 11, 0), False, "bfloat16 3D convolutions are wrong on large input"),
    KnownRelease((9, 10, 2), (9, 16, 0), False, "TF32 3D convolutions can be wrong"),
    KnownRelease(
        (2, 9, 0), (2, 10, 0), True, "mixed precision 3D convolutions take 4 times as long"
    ),
)
"""PyTorch's issues 163539, 166643 and 166122."""


def check_arithmetic(wanted: str) -> Finding:
    """Compares 3D convolutions on the device that training takes with float64.

    Args:
        wanted: the job's ``training.device``: ``auto``, ``cpu`` or ``cuda``.
    """
    # A job for a GPU where none is usable is what the check of the GPU tells.
    on_gpu = wanted != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    errors = {name: convolution_error(name, device) for name in precisions(device)}
    wrong = [name for name, error in errors.items() if not error <= ERRORS[name]]
    if wrong:
        told = ", ".join(
            f"{name} by {errors[name]:.1g} of the largest value ({ERRORS[name]:g} is rounding)"
            for name in wrong
        )
        remedy = REMEDY if on_gpu else "install the versions of requirements.lock"
        return Finding(CHECK, FAIL, f"3D convolutions differ from float64: {told}", remedy)
    faults = known_faults(_version(torch.__version__), cudnn_version(), device)
    if faults:
        return Finding(CHECK, WARN, "; ".join(faults), REMEDY)
    exact = ", ".join(f"{name} {error:.0e}" for name, error in errors.items())
    return passed(CHECK, f"3D convolutions agree with float64: {exact} of the largest value")


def precisions(device: torch.device) -> tuple[str, ...]:
    """Those that training uses there.

    Args:
        device: where it runs.
    """
    if device.type != "cuda":
        return ("float32",)
    return ("float32", "TF32", str(half_type()).removeprefix("torch."))


def convolution_error(precision: str, device: torch.device) -> float:
    """Largest error of a 3D convolution's result and both gradients, against float64 on the CPU.

    Args:
        precision: a key of :data:`ERRORS`.
        device: where it is computed; in channels-last layout on a GPU, as in training.

    Returns:
        As a share of the largest value of each; the largest of the three. NaN where one is NaN.
    """
    source = torch.Generator().manual_seed(0)
    image = torch.randn(SHAPE, generator=source, dtype=torch.float64)
    weight = torch.randn((CHANNELS, SHAPE[1], *[KERNEL] * 3), generator=source, dtype=torch.float64)
    slope = torch.randn((SHAPE[0], CHANNELS, *SHAPE[2:]), generator=source, dtype=torch.float64)
    dtype = torch.float32 if precision in ("float32", "TF32") else getattr(torch, precision)
    # Rounding of the input is not the kernel's error: both sides start from the rounded values.
    image, weight, slope = (tensor.to(dtype) for tensor in (image, weight, slope))
    right = _convolve(*(tensor.double() for tensor in (image, weight, slope)))
    layout = torch.channels_last_3d if device.type == "cuda" else torch.contiguous_format
    moved = [t.to(device, memory_format=layout) for t in (image, weight, slope)]
    with torch.backends.cudnn.flags(allow_tf32=precision == "TF32"):
        found = _convolve(*moved)
    shares = [
        (mine.double().cpu() - theirs).abs().max() / theirs.abs().max()
        for mine, theirs in zip(found, right)
    ]
    return float(torch.stack(shares).max())


def _convolve(
    image: torch.Tensor, weight: torch.Tensor, slope: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The result, and the gradients by image and weight."""
    image, weight = image.requires_grad_(), weight.requires_grad_()
    result = F.conv3d(image, weight, padding=KERNEL // 2)
    return (result.detach(), *torch.autograd.grad(result, (image, weight), slope))


def known_faults(pytorch: Version, cudnn: Version | None, device: torch.device) -> tuple[str, ...]:
    """What the installed releases are known to do.

    Args:
        pytorch: PyTorch's version.
        cudnn: cuDNN's, None where there is none.
        device: where training runs; a CPU uses neither.
    """
    if device.type != "cuda":
        return ()
    told = []
    for known in KNOWN:
        version = pytorch if known.of_torch else cudnn
        if version is not None and known.first <= version < known.fixed:
            name = "PyTorch" if known.of_torch else "cuDNN"
            told.append(f"{name} {'.'.join(map(str, version))}: {known.fault}")
    return tuple(told)


def cudnn_version() -> Version | None:
    """cuDNN's version; None where PyTorch has none."""
    number = torch.backends.cudnn.version()
    if number is None:
        return None
    scale = 10000 if number >= 90000 else 1000  # from 9.0.0 on two digits each
    major, rest = divmod(int(number), scale)
    return (major, *divmod(rest, 100))


def _version(text: str) -> Version:
    major, minor, patch = text.split("+")[0].split(".")[:3]
    digits = "".join(character for character in patch if character.isdigit())
    return int(major), int(minor), int(digits or 0)
