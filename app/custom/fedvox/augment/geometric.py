"""Geometric augmentation: one random affine and elastic deformation for image and label together.

Every arm of a comparison uses it alike. Drawing (:func:`draw_geometric`) is separate from applying
(:func:`apply_geometric`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fedvox.augment.device import full_precision, to_device
from fedvox.augment.settings import GeometricSettings


@dataclass(frozen=True)
class GeometricDraw:
    """A drawn deformation per sample, in ``grid_sample``'s coordinates: [-1, 1], last axis first.

    Args:
        affine: ``(B, 3, 4)``, from output to input coordinates.
        elastic: ``(B, 3, G, G, G)`` displacement of the control points, added to the input
            coordinates; None when no sample is deformed.
        identity: nothing moves in the whole batch.
    """

    affine: Tensor
    elastic: Tensor | None
    identity: bool


def draw_geometric(
    settings: GeometricSettings,
    batch: int,
    shape: tuple[int, int, int],
    generator: torch.Generator,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> GeometricDraw:
    """Draws one deformation per sample.

    In mm from the centre, ``p_in = R · Z · S · M · p_out + t`` with rotation R, magnification Z,
    shear S, mirror M and translation t; ``E^-1 A E`` with ``E = diag(shape · spacing / 2)`` brings
    it to grid coordinates, so a rotation stays rigid in mm on an anisotropic grid.

    Args:
        settings: the ranges.
        batch: number of samples B.
        shape: voxels ``(X, Y, Z)``.
        generator: CPU generator; the only source of randomness. The number of values drawn does
            not depend on their outcome.
        spacing: mm per voxel along X, Y, Z.

    Returns:
        the draw, on the CPU.
    """

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return torch.rand(batch, *size, generator=generator) * (high - low) + low

    moved = uniform(0, 1) < settings.probability
    angles = uniform(-1, 1, 3) * math.radians(settings.rotation_degrees)
    scale = uniform(settings.scale_low, settings.scale_high, 1, 1)
    shear = uniform(-settings.shear, settings.shear, 3, 3).triu(1)
    shift = uniform(-settings.translation, settings.translation, 3) * 2
    mirrored = uniform(0, 1, 3) < 0.5
    bent = uniform(0, 1) < settings.elastic_probability
    size = (batch, 3, *[settings.elastic_grid] * 3)
    noise = torch.randn(size, generator=generator)

    eye = torch.eye(3)
    linear = torch.where(moved[:, None, None], _rotation(angles) / scale @ (eye + shear), eye)
    shift = torch.where(moved[:, None], shift, 0.0)
    allowed = torch.tensor([axis in settings.flips for axis in range(3)])
    linear = linear * torch.where(mirrored & allowed, -1.0, 1.0)[:, None, :]
    extent = torch.tensor(shape) * torch.tensor(spacing)
    linear = linear * extent / extent[:, None]
    affine = torch.cat([linear.flip(1, 2), shift.flip(1)[:, :, None]], dim=2)
    step = 2 / (settings.elastic_grid - 1)
    elastic = noise * bent[:, None, None, None, None] * (settings.elastic_strength * step)
    bends = bool(elastic.any())
    still = not bends and bool((affine == torch.eye(3, 4)).all())
    return GeometricDraw(affine, elastic if bends else None, still)


@torch.no_grad()
def apply_geometric(image: Tensor, label: Tensor, draw: GeometricDraw) -> tuple[Tensor, Tensor]:
    """Resamples image (trilinear) and label (nearest) through the same grid.

    What lies outside the patch becomes 0 in both: air in the image and background in the label.
    Repeating the border instead would smear organs over voxels labelled background.

    Args:
        image: ``(B, C, X, Y, Z)``, background at 0, e.g. scaled to [0, 1].
        label: ``(B, X, Y, Z)``, integers below 2^24 (exact in float32).
        draw: from :func:`draw_geometric` for the same B and shape.

    Returns:
        image and label of the same shapes, dtypes and device. Coordinates are float32, also under
        autocast. The very same tensors when nothing moves.

    Raises:
        ValueError: image, label and draw do not fit together.

    Example:
        A mirror along X in every sample moves a voxel and its label alike; it is drawn for half.

        >>> import torch
        >>> from fedvox.augment.settings import GeometricSettings
        >>> from fedvox.seeding import generator
        >>> mirror = GeometricSettings(probability=0.0, elastic_probability=0.0, flips=(0,))
        >>> image, label = torch.zeros(8, 1, 4, 4, 4), torch.zeros(8, 4, 4, 4, dtype=torch.uint8)
        >>> image[:, :, 0, 1, 2], label[:, 0, 1, 2] = 1.0, 5
        >>> draw = draw_geometric(mirror, 8, (4, 4, 4), generator(0, "example"))
        >>> moved, labels = apply_geometric(image, label, draw)
        >>> sorted({tuple(place) for place in (labels == 5).nonzero()[:, 1:].tolist()})
        [(0, 1, 2), (3, 1, 2)]
        >>> torch.equal(moved[:, 0].round() == 1, labels == 5)
        True
    """
    if image.shape[2:] != label.shape[1:] or not len(image) == len(label) == len(draw.affine):
        raise ValueError(
            f"image {tuple(image.shape)} and label {tuple(label.shape)} must be (B, C, X, Y, Z) "
            f"and (B, X, Y, Z) of the {len(draw.affine)} samples drawn for"
        )
    if draw.identity:
        return image, label
    with full_precision(image.device):
        grid = sampling_grid(draw, image.shape[2:], image.device)
        moved = F.grid_sample(image.float(), grid, align_corners=False)
        picked = F.grid_sample(label[:, None].float(), grid, mode="nearest", align_corners=False)
    return moved.to(image.dtype), picked[:, 0].to(label.dtype)


def sampling_grid(draw: GeometricDraw, shape: torch.Size, device: torch.device) -> Tensor:
    """Input coordinates of every output voxel, ``(B, X, Y, Z, 3)``, the last axis first."""
    size = [len(draw.affine), 1, *shape]
    grid = F.affine_grid(to_device(draw.affine, device), size, align_corners=False)
    if draw.elastic is None:
        return grid
    control = to_device(draw.elastic, device)
    bend = F.interpolate(control, size=tuple(shape), mode="trilinear", align_corners=True)
    return grid.add_(bend.permute(0, 2, 3, 4, 1))


def _rotation(angles: Tensor) -> Tensor:
    """Rotation matrices ``(B, 3, 3)`` from angles ``(B, 3)`` in radians about D, H and W."""
    total = torch.eye(3)
    for axis, (first, second) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3).repeat(len(angles), 1, 1)
        cosine, sine = angles[:, axis].cos(), angles[:, axis].sin()
        turn[:, first, first] = cosine
        turn[:, second, second] = cosine
        turn[:, first, second] = -sine
        turn[:, second, first] = sine
        total = total @ turn
    return total
