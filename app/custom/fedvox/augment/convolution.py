"""Convolution of one volume with very few channels, fast on a CPU.

CPU kernels fill their vector registers with channels. GIN has one or two, so a plain 3D
convolution leaves most of each register empty. Here ``FOLD`` neighbouring voxels of a row act as
channels: about three times the multiplications, and still several times faster.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

FOLD = 8
"""Voxels of a row per block; 8 was faster than 4, 12 and 16."""
MANY_CHANNELS = 16
"""From here on plain convolution fills the registers by itself."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Plain stride-1 convolution with zero padding that keeps the shape.

    Args:
        x: one volume ``(C_in, X, Y, Z)``.
        weight: ``(C_out, C_in, kD, kH, kW)`` with odd sizes.
        bias: ``(C_out,)``.

    Returns:
        ``(C_out, X, Y, Z)``.
    """
    padding = [size // 2 for size in weight.shape[2:]]
    return F.conv3d(x[None], weight, bias, padding=padding)[0]


def fold(x: Tensor) -> Tensor:
    """Cuts the rows of a volume ``(C, X, Y, Z)`` into blocks ``(N, X, Y, C, FOLD)``.

    A last, incomplete block is filled up with zeros: ``N = ceil(W / FOLD)``.
    """
    filled = F.pad(x, (0, -x.shape[3] % FOLD))
    return filled.unflatten(3, (-1, FOLD)).permute(3, 1, 2, 0, 4).contiguous()


def unfold(blocks: Tensor, width: int) -> Tensor:
    """The inverse of :func:`fold`: ``(C, D, H, width)`` from ``(N, X, Y, C, FOLD)``."""
    return blocks.permute(3, 1, 2, 0, 4).flatten(3)[..., :width]


def convolve_folded(blocks: Tensor, weight: Tensor, bias: Tensor, width: int) -> Tensor:
    """The same as :func:`convolve`, between folded volumes.

    Args:
        blocks: from :func:`fold`, ``(N, D, H, C_in, FOLD)``; what lies beyond ``width`` is ignored
            and may be overwritten.
        weight: ``(C_out, C_in, kD, kH, kW)`` with odd sizes up to ``FOLD``.
        bias: ``(C_out,)``.
        width: voxels W of a row.

    Returns:
        ``(N, D, H, C_out, FOLD)``.
    """
    banded = _banded(weight)
    bias = bias.repeat_interleave(FOLD)
    if weight.shape[2:].numel() == 1:
        rows = torch.addmm(bias, blocks.flatten(3).flatten(0, 2), banded.flatten(1).T)
        return rows.view(*blocks.shape[:3], -1, FOLD)
    rows = _with_neighbours(blocks, weight.shape[4] // 2, width)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    # the channels are last in memory, the layout that CPU kernels want
    folded = F.conv2d(rows.flatten(3).permute(0, 3, 1, 2), banded, bias, padding=padding)
    return folded.permute(0, 2, 3, 1).unflatten(3, (-1, FOLD))


def _with_neighbours(blocks: Tensor, reach: int, width: int) -> Tensor:
    """Each block with ``reach`` voxels of the blocks beside it: ``(N, D, H, C, FOLD + 2 reach)``.

    Zero beyond both ends of the row, as the padding of a plain convolution.
    """
    if width % FOLD:
        blocks[-1, ..., width % FOLD :] = 0
    rows = blocks.new_empty(*blocks.shape[:4], FOLD + 2 * reach)
    if reach:
        rows[0, ..., :reach] = 0
        rows[1:, ..., :reach] = blocks[:-1, ..., -reach:]
        rows[-1, ..., -reach:] = 0
        rows[:-1, ..., -reach:] = blocks[1:, ..., :reach]
    rows[..., reach : reach + FOLD] = blocks
    return rows


def _banded(weight: Tensor) -> Tensor:
    """``(C_out, C_in, kD, kH, kW)`` as ``(C_out FOLD, C_in (FOLD + 2 reach), kD, kH)``.

    Output voxel q of a block takes tap r from voxel p = q + r of the block with its neighbours.
    """
    size = weight.shape[4]
    inputs = torch.arange(FOLD + size - 1)[:, None, None]
    outputs = torch.arange(FOLD)[:, None]
    taps = (inputs == outputs + torch.arange(size)).to(weight.dtype)  # (p, q, r)
    return torch.einsum("oidhr,pqr->oqipdh", weight, taps).flatten(2, 3).flatten(0, 1)
