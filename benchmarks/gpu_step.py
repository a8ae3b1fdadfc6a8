"""Training steps per second and peak memory at real size, against nnU-Net's and a plain MONAI loop.

Patch 128³, batch 2, a U-Net of 30 million parameters, mixed precision on a GPU. Ours is the whole
FedVox step (geometric augmentation, intensity augmentation, normalisation, forward, backward,
update), with and without GIN. The rival is a plain loop with the same network, MONAI's RandAffine
and DiceCELoss, AdamW and the same precision. Runs on a CPU too; --quick shrinks everything.

With --nnunet (`pip install nnunetv2==2.8.1`) nnU-Net's own `train_step` trains the same network on
the same batch: compiled by `torch.compile` where there is a GPU, its default, and plainly. Its
augmentation runs in other processes before that step and is not in its time; ours is.

Example:
    python benchmarks/gpu_step.py --nnunet
    python benchmarks/gpu_step.py --quick
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from fedvox.augment.settings import AugmentationSettings
from fedvox.data.cases.patches import Batch
from fedvox.inference.normalise import normalise
from fedvox.job.device import autocast, loss_scaler, prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings, job_from
from fedvox.training.step import build_step
from nnunet_step import nnunet_step

ORGANS = ["liver", "spleen", "kidney_right", "kidney_left", "pancreas", "gallbladder"]


def job_of(patch: int, channels: list[int]) -> JobSettings:
    """The benchmark's job."""
    return job_from(
        {
            "name": "gpu_step",
            "data": {"organs": ORGANS, "patch": [patch] * 3, "spacing": [1.5] * 3},
            "network": {"channels": channels, "residual_units": 2},
            "training": {"threads": torch.get_num_threads()},
        }
    )


def random_batch(patch: int, size: int) -> Batch:
    """A batch of noise with labels, as patches arrive from disk."""
    source = torch.Generator().manual_seed(0)
    return Batch(
        torch.rand(size, 1, patch, patch, patch, generator=source),
        torch.randint(0, 7, (size, patch, patch, patch), generator=source).to(torch.uint8),
        torch.ones(size, len(ORGANS), dtype=torch.bool),
        torch.ones(size, 1, dtype=torch.bool),
    )


def fedvox_step(job: JobSettings, device: torch.device, batch: Batch) -> Callable[[int], object]:
    """Our step as a function of its number."""
    step = build_step(job, to_device(initial_model(job), device).train(), device)
    return lambda index: step(batch, (0, "site-1", 0, index), 1e-3)


def monai_step(job: JobSettings, device: torch.device, batch: Batch) -> Callable[[int], object]:
    """The rival's step."""
    from monai.losses import DiceCELoss
    from monai.transforms import RandAffine

    model = to_device(initial_model(job), device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = loss_scaler(job.training, device)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    affine = RandAffine(prob=1.0, rotate_range=[0.26] * 3, scale_range=[0.17] * 3, device=device)

    def step(index: int) -> torch.Tensor:
        moved = []
        for image, label in zip(batch.image, batch.label):
            both = torch.cat([image, label[None].float()]).to(device, non_blocking=True)
            moved.append(affine(both, mode="bilinear", padding_mode="zeros"))
        pair = torch.stack([torch.as_tensor(entry) for entry in moved])
        optimizer.zero_grad(set_to_none=True)
        with autocast(job.training, device):
            logits = model(normalise(pair[:, :1]))
        loss: torch.Tensor = loss_of(logits.float(), pair[:, 1:].round())
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 12.0)
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def nnunet_steps(
    job: JobSettings, device: torch.device, batch: Batch
) -> dict[str, Callable[[int], object]]:
    """nnU-Net's step, as it runs by default and without ``torch.compile``."""
    return {
        name: nnunet_step(
            initial_model(job).to(device).train(),
            normalise(batch.image),
            batch.label,
            ORGANS,
            device,
            compiled,
        )
        for name, compiled in (("nnunet_plain", False), ("nnunet", device.type == "cuda"))
    }


def seconds_per_step(step: Callable[[int], object], steps: int, device: torch.device) -> float:
    """Mean seconds of ``steps`` steps, the GPU's queue emptied before and after."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    start = time.monotonic()
    for index in range(steps):
        step(index)
    wait()
    return (time.monotonic() - start) / steps


def main() -> int:
    """Times the three loops in turn and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=10, help="steps per timing (default 10)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each (default 5)")
    parser.add_argument(
        "--nnunet", action="store_true", help="beside nnU-Net's trainer, if installed"
    )
    parser.add_argument("--quick", action="store_true", help="patch 32, small network, 2 repeats")
    args = parser.parse_args()
    patch, channels = (32, [8, 16, 32]) if args.quick else (128, [32, 64, 128, 256, 352, 384])
    steps, repeats = (2, 2) if args.quick else (args.steps, args.repeats)
    job = job_of(patch, channels)
    device = prepare_device(job.training)
    batch = random_batch(patch, 2)
    if device.type == "cuda":
        batch = batch.pinned()
    none = dataclasses.replace(job, augmentation=AugmentationSettings(name="none"))
    loops = {
        "gin": fedvox_step(job, device, batch),
        "none": fedvox_step(none, device, batch),
        "monai": monai_step(job, device, batch),
    }
    if args.nnunet:
        loops |= nnunet_steps(job, device, batch)
    times: dict[str, list[float]] = {name: [] for name in loops}
    memory: dict[str, float] = {}
    for name, loop in loops.items():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds_per_step(loop, 1, device)
        if device.type == "cuda":
            memory[name] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    for _ in range(repeats):
        for name, loop in loops.items():
            times[name].append(seconds_per_step(loop, steps, device))
    median = {name: statistics.median(values) for name, values in times.items()}
    parameters = sum(p.numel() for p in initial_model(job).parameters())
    hardware = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    figures = {
        "hardware": hardware,
        "patch": patch,
        "parameters": parameters,
        "steps_per_second": {name: round(1 / value, 3) for name, value in median.items()},
        "peak_memory_gib": memory,
        "gin_share": round(1 - median["none"] / median["gin"], 4),
        **{
            f"speed_against_{name}": round(median[name] / median["gin"], 4)
            for name in loops
            if name not in ("gin", "none")
        },
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
