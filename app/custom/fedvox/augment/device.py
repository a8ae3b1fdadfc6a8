"""How augmentations meet a device: one asynchronous copy, and float32 whatever autocast says."""

import contextlib

import torch
from torch import Tensor


def to_device(parameters: Tensor, device: torch.device) -> Tensor:
    """Copies drawn parameters from the CPU to ``device`` without making the host wait for a GPU."""
    if device.type != "cuda":
        return parameters.to(device)
    return parameters.pin_memory().to(device, non_blocking=True)


def full_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A context in which autocast is off, since half precision spoils coordinates and norms."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
