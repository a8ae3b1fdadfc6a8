"""Class scores to labels on another grid, plane by plane, as if whole volumes were resampled.

PyTorch's trilinear kernel mixes two neighbouring planes of its input into each plane of its output.
Called with just these two planes and the factor that leads to the same share of each, it computes
the same sums bit by bit. So two planes of all classes in memory are enough, at any size.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

Shape = tuple[int, int, int]

SMALL_OUTPUT = 256
"""Up to this sum of its three edges, PyTorch makes an output with another kernel, which rounds
otherwise. A property test compares both ways over random shapes."""


@dataclass(frozen=True)
class ResampleStep:
    """Output planes that one call makes from two neighbouring input planes.

    Attributes:
        first: index of the first of them.
        count: how many.
        ratio: input voxels per output voxel that the kernel is told.
    """

    first: int
    count: int
    ratio: float


def exact_by_planes(shape: Shape) -> bool:
    """True when one output plane and the whole output ``shape`` come from the same kernel."""
    return 1 + shape[1] + shape[2] > SMALL_OUTPUT


def label_planes(planes: Iterable[torch.Tensor], count: int, shape: Shape) -> torch.Tensor:
    """The class with the largest trilinearly resampled score; the first one of equals.

    Args:
        planes: ``(K, Y, Z)`` float32 scores of x = 0, 1, ...
        count: number of planes.
        shape: wanted ``(X, Y, Z)``, for which :func:`exact_by_planes` holds.

    Returns:
        uint8 ``shape``.
    """
    result = torch.empty(shape, dtype=torch.uint8)
    for (lower, upper), steps in zip(_neighbours(planes), plan_steps(count, shape[0])):
        if not steps:
            continue
        pair = torch.stack([lower, upper], dim=1)[:, None]  # (K, 1, 2, Y, Z)
        for step in steps:
            scores = _mix(pair, (step.count, *shape[1:]), step.ratio)[:, 0]
            result[step.first : step.first + step.count] = _winners(scores)
    return result


def _winners(scores: torch.Tensor) -> torch.Tensor:
    """``scores.argmax(0)`` as uint8, in a third of the time."""
    best, labels = scores[0], torch.zeros(scores.shape[1:], dtype=torch.uint8)
    for value in range(1, len(scores)):
        labels.masked_fill_(scores[value] > best, value)
        best = torch.maximum(best, scores[value])
    return labels


def plan_steps(count: int, wanted: int) -> list[list[ResampleStep]]:
    """Which output planes lie between each input plane and the next one.

    Args:
        count: input planes.
        wanted: output planes.

    Returns:
        One list for each input plane; beyond the last one lies a copy of it.
    """
    lower, share = _places(count, wanted)
    plan: list[list[ResampleStep]] = [[] for _ in range(count)]
    # Before plane 1 a share has more digits than 1 + 2 * share can hold, but there the ratio of
    # the whole volume leads to the same places.
    head = lower.count(0)
    if head:
        plan[0].append(ResampleStep(0, head, kernel_ratio(count, wanted)))
    for index in range(head, wanted):
        plan[lower[index]].append(ResampleStep(index, 1, 1 + 2 * share[index]))
    return plan


def _neighbours(planes: Iterable[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    previous = None
    for plane in planes:
        if previous is not None:
            yield previous, plane
        previous = plane
    if previous is not None:
        yield previous, previous


def _places(count: int, wanted: int) -> tuple[list[int], list[float]]:
    """Lower neighbour of each output plane and the upper one's share, read off the kernel itself.

    The kernel resamples three indicators of (index modulo 3): two of them are not 0 between two
    planes and tell which is the lower one; the index itself is known within 1.
    """
    length = count + 1 + (wanted == count + 1)  # equal sizes would be copied; the excess is unused
    kinds = F.one_hot(torch.arange(length) % 3, 3).T.float()
    found = _mix(
        kinds[None, :, :, None, None], (wanted, 1, SMALL_OUTPUT), kernel_ratio(count, wanted)
    )[0, :, :, 0, 0]
    kind = ((found > 0) & (found.roll(1, 0) == 0)).float().argmax(0)
    share = found.gather(0, (kind[None] + 1) % 3)[0]
    centre = (torch.arange(wanted, dtype=torch.float64) + 0.5) * count / wanted - 0.5
    near = centre.clamp(min=0).floor().long()
    lower = near + (kind - near + 1) % 3 - 1
    return lower.tolist(), share.tolist()


def kernel_ratio(count: int, wanted: int) -> float:
    """Input voxels per output voxel, rounded to float32 as the kernel does.

    Args:
        count: input voxels.
        wanted: output voxels.
    """
    return float(torch.tensor(count, dtype=torch.float32) / wanted)


def _mix(volume: torch.Tensor, shape: Shape, ratio: float) -> torch.Tensor:
    """Trilinear resampling of ``(B, C, X, Y, Z)`` where ``ratio`` decides the places along X."""
    x, y, z = shape
    asked = x + (x == volume.shape[2])  # equal sizes would be copied, whatever the ratio
    factors = (1 / ratio, None, None)
    mixed = torch.ops.aten.upsample_trilinear3d(volume, [asked, y, z], False, *factors)
    return torch.as_tensor(mixed)[:, :, :x]
