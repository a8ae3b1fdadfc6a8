"""Stored voxels to a grid that may be coarser: along such an axis they are averaged.

A linear value rests on two stored voxels, however many lie in a voxel of the job's grid, so what is
finer aliases and the noise that is left depends on where centres happen to meet: with voxels of
6 mm, a scan of 2 mm keeps all of its noise and one of 3 mm a third. Here the value is the mean of
the linear interpolant over a length of ``ratio - 1`` stored voxels around the new voxel's centre.
At ratio 1 that is linear interpolation, at 2 the mean of two voxels. It reaches half a stored voxel
beyond the new one at most, and a linear ramp keeps its values in mm, at the borders too.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F


def to_grid(volume: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A volume over the same field of view in other voxels.

    Args:
        volume: float ``(X, Y, Z)``.
        shape: wanted; axes that get coarser are averaged, the others interpolated linearly.
    """
    ratios = [count / wanted for count, wanted in zip(volume.shape, shape)]
    averaged = average(volume, [min(a, b) for a, b in zip(volume.shape, shape)], ratios)
    if tuple(averaged.shape) == tuple(shape):
        return averaged
    whole = averaged[None, None]
    return F.interpolate(whole, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]


def average(volume: torch.Tensor, shape: Sequence[int], ratios: Sequence[float]) -> torch.Tensor:
    """Averages the axes whose ratio is above 1, plane by plane: no second volume is in memory.

    Args:
        volume: float ``(X, Y, Z)``, or its part from voxel 0 on that the result needs.
        shape: of the result; equal to the volume's along axes that are left alone.
        ratios: stored voxels per voxel of the result along each axis.
    """
    if max(ratios) <= 1:
        return volume
    plans = [
        _plan(size, count, ratio, volume.dtype) if ratio > 1 else None
        for size, count, ratio in zip(volume.shape, shape, ratios)
    ]
    result = torch.empty(tuple(shape), dtype=volume.dtype)
    first, *inner = plans
    for index, plane in enumerate(result):
        part = volume[index] if first is None else _sum(volume, *_at(first, index))
        for axis, plan in enumerate(inner):
            if plan is not None:
                part = _along(part, axis, *plan)
        plane.copy_(part)
    return result


def _plan(
    size: int, count: int, ratio: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which stored voxels make each new one, and their weights: both ``(taps, count)``."""
    start = torch.arange(count, dtype=torch.float64) * ratio
    taps = math.ceil(ratio) + 1
    voxels = start.floor().long() + torch.arange(taps)[:, None]
    weights = _integral(start + ratio - 1 - voxels) - _integral(start - voxels)
    return voxels.clamp(max=size - 1), (weights / (ratio - 1)).to(dtype)


def _integral(x: torch.Tensor) -> torch.Tensor:
    """Integral of the hat function of linear interpolation from minus infinity to ``x``."""
    x = x.clamp(-1, 1)
    return torch.where(x < 0, (x + 1) ** 2 / 2, 1 - (1 - x) ** 2 / 2)


def _at(plan: tuple[torch.Tensor, torch.Tensor], index: int) -> tuple[list[int], list[float]]:
    return plan[0][:, index].tolist(), plan[1][:, index].tolist()


def _sum(volume: torch.Tensor, voxels: list[int], weights: list[float]) -> torch.Tensor:
    total = volume[voxels[0]] * weights[0]
    for voxel, weight in zip(voxels[1:], weights[1:]):
        if weight:
            total.add_(volume[voxel], alpha=weight)
    return total


def _along(
    plane: torch.Tensor, axis: int, voxels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    shape = (-1, 1) if axis == 0 else (1, -1)
    total = plane.index_select(axis, voxels[0]) * weights[0].view(shape)
    for voxel, weight in zip(voxels[1:], weights[1:]):
        total.addcmul_(plane.index_select(axis, voxel), weight.view(shape))
    return total
