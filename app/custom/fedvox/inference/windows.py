"""Sliding windows whose scores come slab by slab, so that no whole score volume is in memory."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
import torch.nn.functional as F


def slide(
    image: torch.Tensor,
    window: Sequence[int],
    overlap: float,
    predictor: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
) -> Iterator[torch.Tensor]:
    """Gaussian-weighted mean over overlapping windows, in slabs along X.

    Windows, weights, and the order of all sums are those of MONAI's ``sliding_window_inference``
    with ``mode="gaussian"`` and one window at a time, so the values are equal to the last bit.
    MONAI takes windows in the order of X; what lies before the next window's first plane is final.

    Args:
        image: ``(C, X, Y, Z)`` on the CPU.
        window: edges of a window in voxels.
        overlap: of neighbouring windows, as a share of the window, from 0 to below 1.
        predictor: ``(1, C, *window)`` on the device to scores ``(1, K, *window)``.
        device: where windows are computed.

    Yields:
        ``(K, n, Y, Z)`` float32 on the CPU, one after the other along X.
    """
    from monai.data.utils import compute_importance_map, dense_patch_slices

    padded, inner = _pad(image, window)
    shape = padded.shape[2:]
    weight = compute_importance_map(tuple(window), mode="gaussian", device=device)[None, None]
    share = weight[0].to("cpu")
    places = dense_patch_slices(shape, window, _steps(shape, window, overlap))
    groups = [(x, list(group)) for x, group in groupby(places, lambda place: place[0].start)]
    ends = [x for x, _ in groups[1:]] + [shape[0]]
    sums = weights = torch.empty(0)
    for (start, group), end in zip(groups, ends):
        for _, y, z in group:
            part = padded[:, :, start : start + window[0], y, z].to(device)
            scores = predictor(part)
            scores *= weight
            if not sums.numel():
                sums = torch.zeros(scores.shape[1], window[0], *shape[1:])
                weights = torch.zeros(1, window[0], *shape[1:])
            sums[:, :, y, z] += scores[0].to("cpu")
            weights[:, :, y, z] += share
        final = end - start
        yield (sums[:, :final] / weights[:, :final])[inner]
        for band in (sums, weights):
            _advance(band, final)


def _pad(image: torch.Tensor, window: Sequence[int]) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Zeros around an image that is smaller than the window, and where the image lies in them."""
    pads: list[int] = []
    inner = []
    for size, edge in zip(image.shape[1:], window):
        missing = max(edge - size, 0)
        pads = [missing // 2, missing - missing // 2, *pads]  # PyTorch counts from the last axis
        inner.append(slice(missing // 2, missing // 2 + size))
    padded = F.pad(image[None], pads) if any(pads) else image[None]
    return padded, (slice(None), *inner)


def _steps(shape: Sequence[int], window: Sequence[int], overlap: float) -> tuple[int, ...]:
    """Distance of neighbouring windows along each axis in voxels, as MONAI rounds it."""
    return tuple(
        edge if edge == size else max(1, int(edge * (1 - overlap)))
        for size, edge in zip(shape, window)
    )


def _advance(band: torch.Tensor, planes: int) -> None:
    """Moves a band along X: drops its first planes, zeros follow."""
    rest = band[:, planes:].clone()
    band[:, : rest.shape[1]] = rest
    band[:, rest.shape[1] :] = 0
