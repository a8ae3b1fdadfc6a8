"""Global intensity non-linear augmentation (GIN): a random shallow network remaps intensities.

The shape of organs stays, their contrast changes, so a network trained on one modality learns to
rely on shape. Drawing (:func:`draw_gin`) is separate from applying (:func:`apply_gin`).
"""

import itertools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from fedvox.augment.convolution import MANY_CHANNELS, convolve, convolve_folded, fold, unfold
from fedvox.augment.device import full_precision, to_device
from fedvox.augment.settings import GinSettings

NORM_FLOOR = 1e-5


@dataclass(frozen=True)
class GinDraw:
    """One drawn network per sample, packed so that it reaches a GPU in a single transfer.

    Args:
        settings: what it was drawn from.
        channels: image channels C.
        spatial_dims: 2 or 3.
        kernel_sizes: per sample and layer, plain integers, so that no device is asked for them.
        applied: per sample, whether GIN is applied.
        parameters: ``(B, P)`` float32; per sample the mixing weight, then all weights, then all
            biases. Weights are laid out for the largest kernel of the pool and are zero outside
            the drawn kernel size, which stands at the centre.
    """

    settings: GinSettings
    channels: int
    spatial_dims: int
    kernel_sizes: tuple[tuple[int, ...], ...]
    applied: tuple[bool, ...]
    parameters: Tensor

    @property
    def alpha(self) -> Tensor:
        """Mixing weights, ``(B,)`` in [0, 1)."""
        return self.parameters[:, 0]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Weights ``(B, C_out, C_in, K, ..., K)`` and bias ``(B, C_out)`` of one layer."""
        shapes = weight_shapes(self.settings, self.channels, self.spatial_dims)
        start = 1 + sum(math.prod(shape) for shape in shapes[:index])
        bias_start = 1 + sum(math.prod(shape) for shape in shapes)
        bias_start += sum(shape[0] for shape in shapes[:index])
        shape = shapes[index]
        weight = self.parameters[:, start : start + math.prod(shape)]
        bias = self.parameters[:, bias_start : bias_start + shape[0]]
        return weight.unflatten(1, shape), bias

    def to(self, device: torch.device) -> "GinDraw":
        """The same draw on ``device``; one pinned, asynchronous copy towards a GPU."""
        return replace(self, parameters=to_device(self.parameters, device))


def weight_shapes(settings: GinSettings, channels: int, spatial_dims: int) -> list[tuple[int, ...]]:
    """Shape ``(C_out, C_in, K, ..., K)`` of each layer's weights, K the pool's largest size."""
    widths = [channels, *[settings.channels] * (settings.layers - 1), channels]
    kernel = (max(settings.kernel_sizes),) * spatial_dims
    return [(after, before, *kernel) for before, after in itertools.pairwise(widths)]


def draw_gin(
    settings: GinSettings,
    batch: int,
    channels: int,
    spatial_dims: int,
    generator: torch.Generator,
) -> GinDraw:
    """Draws one random network per sample (or one for all with ``per_batch``).

    ``k ~ U(kernel_sizes)`` per layer, weights and biases ``~ N(0, 1)`` with no fan-in scaling,
    ``alpha ~ U(0, 1)``.

    Args:
        settings: the pool to draw from.
        batch: number of samples B.
        channels: image channels C.
        spatial_dims: 2 or 3.
        generator: CPU generator; the only source of randomness.

    Returns:
        the draw, on the CPU.

    Raises:
        ValueError: ``spatial_dims`` is neither 2 nor 3.
    """
    if spatial_dims not in (2, 3):
        raise ValueError(f"GIN works on 2 or 3 spatial dimensions, not {spatial_dims}")
    rows = 1 if settings.per_batch else batch
    shapes = weight_shapes(settings, channels, spatial_dims)
    picks = torch.randint(
        len(settings.kernel_sizes), (rows, settings.layers), generator=generator
    ).tolist()
    sizes = [tuple(settings.kernel_sizes[pick] for pick in row) for row in picks]
    applied = (torch.rand(rows, generator=generator) < settings.probability).tolist()
    parts = [torch.rand(rows, 1, generator=generator)]
    for index, shape in enumerate(shapes):
        weight = torch.randn(rows, *shape, generator=generator)
        for row in range(rows):
            weight[row].mul_(_centre(sizes[row][index], shape[2:]))
        parts.append(weight.flatten(1))
    parts.append(torch.randn(rows, sum(shape[0] for shape in shapes), generator=generator))
    repeat = batch if settings.per_batch else 1
    parameters = torch.cat(parts, dim=1).repeat(repeat, 1)
    return GinDraw(
        settings,
        channels,
        spatial_dims,
        tuple(sizes) * repeat,
        tuple(applied) * repeat,
        parameters,
    )


@torch.no_grad()
def apply_gin(x: Tensor, draw: GinDraw) -> Tensor:
    """Applies drawn networks: ``m = alpha g(x) + (1 - alpha) x``, ``m ‖x‖ / (‖m‖ + 1e-5)``.

    Args:
        x: images ``(B, C, X, Y, Z)`` or ``(B, C, X, Y)`` in [0, 1], on any device.
        draw: from :func:`draw_gin` for the same B, C and number of dimensions.

    Returns:
        a tensor of the shape, dtype and device of ``x``; samples not applied are copied unchanged.
        Computed in float32, also under autocast, without gradient, and without making the host
        wait for a GPU.

    Raises:
        ValueError: ``x`` does not fit the draw.

    Reference:
        Ouyang et al., "Causality-inspired Single-source Domain Generalization for Medical Image
        Segmentation", IEEE TMI 2022, doi 10.1109/TMI.2022.3224067, section III-B. The published
        code draws kernel sizes once per batch and weights per sample; here both are per sample.
    """
    expected = (len(draw.applied), draw.channels)
    if x.shape[:2] != expected or x.ndim != draw.spatial_dims + 2:
        raise ValueError(
            f"GIN was drawn for {expected} samples and channels in {draw.spatial_dims}D, "
            f"but the images have shape {tuple(x.shape)}"
        )
    moved = draw.to(x.device)
    result = torch.empty_like(x, memory_format=torch.contiguous_format)
    with full_precision(x.device):
        for sample, applied in enumerate(draw.applied):
            original = x[sample]
            result[sample] = _augment(original.float(), moved, sample) if applied else original
    return result


class Gin:
    """GIN as an intensity augmentation: draws from the generator, then applies.

    Args:
        settings: what to draw.

    Example:
        >>> import torch
        >>> from fedvox.augment.settings import GinSettings
        >>> from fedvox.seeding import generator
        >>> gin = Gin(GinSettings(layers=2))
        >>> x = torch.rand(2, 1, 8, 8, 8, generator=generator("example"))
        >>> y = gin(x, generator(0, "site-1", 0, 0, "intensity"))
        >>> y.shape
        torch.Size([2, 1, 8, 8, 8])

        Each sample looks otherwise and keeps its norm; the same address draws the same networks.

        >>> bool((y != x).any()), bool(torch.isclose(y[0].norm(), x[0].norm(), rtol=1e-3))
        (True, True)
        >>> torch.equal(gin(x, generator(0, "site-1", 0, 0, "intensity")), y)
        True
    """

    def __init__(self, settings: GinSettings) -> None:
        self.settings = settings

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augments ``x`` ``(B, C, X, Y, Z)`` or ``(B, C, X, Y)`` in [0, 1]; fresh at every call."""
        draw = draw_gin(self.settings, x.shape[0], x.shape[1], x.ndim - 2, generator)
        return apply_gin(x, draw)


def _centre(size: int, kernel: tuple[int, ...]) -> Tensor:
    """Ones in the central ``size`` cube of a kernel, zeros around it."""
    margin = (kernel[0] - size) // 2
    return F.pad(torch.ones((size,) * len(kernel)), (margin,) * (2 * len(kernel)))


def _augment(x: Tensor, draw: GinDraw, sample: int) -> Tensor:
    """One sample ``(C, *spatial)``: network, mix, renormalisation, options."""
    mixed = torch.lerp(x, _network(x, draw, sample), draw.alpha[sample])
    if draw.settings.body_mask:
        mixed.mul_(x > 0)
    norm = torch.linalg.vector_norm
    mixed.mul_(norm(x) / (norm(mixed) + NORM_FLOOR))
    return mixed.clamp_(0, 1) if draw.settings.clip else mixed


def _network(x: Tensor, draw: GinDraw, sample: int) -> Tensor:
    """g(x) of one sample ``(C, *spatial)``; a 2D image runs as a volume of depth 1."""
    volume = x if draw.spatial_dims == 3 else x[:, None]
    width = volume.shape[3]
    folded = x.device.type == "cpu" and max(draw.channels, draw.settings.channels) < MANY_CHANNELS
    features = fold(volume) if folded else volume
    for index, size in enumerate(draw.kernel_sizes[sample]):
        weight, bias = draw.layer(index)
        kernel = _crop(weight[sample], size)
        kernel = kernel if draw.spatial_dims == 3 else kernel[:, :, None]
        if folded:
            features = convolve_folded(features, kernel, bias[sample], width)
        else:
            features = convolve(features, kernel, bias[sample])
        if index < draw.settings.layers - 1:
            features = F.leaky_relu_(features, draw.settings.slope)
    return (unfold(features, width) if folded else features).reshape(x.shape)


def _crop(weight: Tensor, size: int) -> Tensor:
    """The central ``size`` cube of weights ``(C_out, C_in, K, ..., K)``."""
    margin = (weight.shape[-1] - size) // 2
    for dim in range(2, weight.ndim):
        weight = weight.narrow(dim, margin, size)
    return weight
