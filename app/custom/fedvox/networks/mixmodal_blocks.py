"""The blocks of :mod:`fedvox.networks.mixmodal_network`.

Level l has ``1 / 2^(l + 1)`` of the patch's resolution. On a CPU PyTorch computes small
convolutions with neither stride nor dilation five to ten times slower than others of their size, so
deep ones are dilated, which also lets them see further, and the network stacks what it can along
the batch.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

Levels = list[torch.Tensor]
"""``(B, F_l, X / 2^(l+1), ...)`` for each level l."""
Masks = Mapping[str, torch.Tensor]
"""Modality -> ``(B, 1, 1, 1, 1)``, 1 where a sample has its image, else 0."""


class ConvBlock(nn.Sequential):
    """A convolution of 3³ with instance normalisation.

    Args:
        inputs, outputs: feature channels.
        stride: 2 halves the grid.
        dilation: distance of the voxels that it looks at.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation),
            nn.InstanceNorm3d(outputs),
            nn.LeakyReLU(0.01),
        )


class Encoder(nn.ModuleList):
    """From one image ``(B, 1, X, Y, Z)`` to its levels.

    Args:
        widths: feature channels per level.
        deep: a second convolution, dilated, at the last level.
    """

    def __init__(self, widths: Sequence[int], deep: bool = False) -> None:
        super().__init__()
        for level, (inputs, outputs) in enumerate(zip((1, *widths), widths)):
            block = nn.Sequential(ConvBlock(inputs, outputs, stride=2))
            if deep and level == len(widths) - 1:
                block.append(ConvBlock(outputs, outputs, dilation=2))
            self.append(block)

    def forward(self, image: torch.Tensor) -> Levels:
        """All levels, the finest first."""
        levels = [image]
        for block in self:
            levels.append(block(levels[-1]))
        return levels[1:]


class Prototypes(nn.Module):
    """What the federation knows of each modality: one mean feature per class, no parameter.

    Its buffers travel down with the model; the server writes them, no gradient reaches them. A row
    of zeros is one that nobody has told yet.

    Args:
        modalities: the job's channels.
        classes: organs plus background.
        width: feature channels F of one encoder at the memory's level.
    """

    def __init__(self, modalities: Sequence[str], classes: int, width: int) -> None:
        super().__init__()
        self.width = width
        for modality in modalities:
            self.register_buffer(modality, torch.zeros(classes, 2 * width))

    def tailored(self, modality: str) -> torch.Tensor:
        """``(K, F)`` of the modality's own encoder."""
        return self.get_buffer(modality)[:, : self.width]

    def shared(self, modality: str) -> torch.Tensor:
        """``(K, F)`` of the shared encoder on images of the modality."""
        return self.get_buffer(modality)[:, self.width :]


class Attention(nn.Module):
    """Looks up, for each voxel, a feature among prototypes by what the shared feature sees.

    Args:
        width: feature channels F.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv3d(width, width, 1)
        self.key = nn.Linear(width, width)

    def forward(self, shared: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Mixes prototypes voxel by voxel.

        Args:
            shared: ``(B, F, ...)``, the query.
            prototypes: ``(K, F)``; rows of zeros are not chosen.

        Returns:
            ``(B, F, ...)``; zeros where every row is.
        """
        unknown = (prototypes == 0).all(1)
        keys, scale = self.key(prototypes), prototypes.shape[1] ** -0.5
        scores = torch.einsum("bfxyz,kf->bkxyz", self.query(shared), keys) * scale
        # a finite number, so that without any known row no NaN appears; its zeros then add up to 0
        scores = scores.masked_fill(unknown[None, :, None, None, None], -1e4)
        return torch.einsum("bkxyz,kf->bfxyz", scores.softmax(1), prototypes)


class Fusion(nn.Module):
    """The levels of all images of a case become one set of levels.

    At each level: the mean of the shared features, the mean and the largest of the tailored ones,
    a convolution of 1³ with instance normalisation, and a shift that tells which modalities were
    there.

    Args:
        widths: feature channels per level.
        modalities: the job's channels.
        memory_level: the level at which missing tailored features are looked up.
    """

    def __init__(self, widths: Sequence[int], modalities: Sequence[str], memory_level: int) -> None:
        super().__init__()
        self.modalities, self.memory_level = tuple(modalities), memory_level
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Conv3d(3 * width, width, 1), nn.InstanceNorm3d(width))
            for width in widths
        )
        self.told = nn.ModuleList(nn.Linear(len(modalities), width) for width in widths)
        self.attention = Attention(widths[memory_level])
        self.identity = nn.Linear(widths[-1], len(modalities))

    def forward(
        self,
        shared: Mapping[str, Levels],
        tailored: Mapping[str, Levels],
        present: Masks,
        prototypes: Callable[[str], torch.Tensor] | None,
    ) -> Levels:
        """Fuses what is there.

        Args:
            shared: modality -> levels of the shared encoder, of all modalities of the batch.
            tailored: the same of tailored encoders, where there is one.
            present: of the modalities of ``shared``.
            prototypes: modality -> ``(K, F)``; None for no memory.
        """
        some = next(iter(present.values()))
        none = torch.zeros_like(some)
        told = torch.stack([present.get(m, none).flatten() for m in self.modalities], 1)
        fused = []
        for level, (mix, shift) in enumerate(zip(self.mix, self.told)):
            common = mean_of([(present[m], levels[level]) for m, levels in shared.items()])
            own = [(present[m], levels[level]) for m, levels in tailored.items()]
            if prototypes is not None and level == self.memory_level:
                own += self._recalled(common, tailored, present, prototypes)
            parts = (common, mean_of(own, common), _largest(own, common))
            mixed = mix(torch.cat(parts, 1)) + shift(told)[:, :, None, None, None]
            fused.append(F.leaky_relu(mixed, 0.01))
        return fused

    def _recalled(
        self,
        common: torch.Tensor,
        tailored: Mapping[str, Levels],
        present: Masks,
        prototypes: Callable[[str], torch.Tensor],
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Stand-ins for missing tailored features, with the samples that need and can have them."""
        found = []
        none = torch.zeros_like(next(iter(present.values())))
        for modality in self.modalities:
            rows = prototypes(modality)
            known = (rows != 0).any().to(common.dtype)
            there = present[modality] if modality in tailored else none
            found.append(((1 - there) * known, self.attention(common, rows)))
        return found


class Decoder(nn.Module):
    """From fused levels to logits at full resolution.

    Args:
        widths: feature channels per level.
        classes: organs plus background.
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.bottom = ConvBlock(widths[-1], widths[-1], dilation=2)
        pairs = list(zip(widths[1:], widths))[::-1]
        self.up = nn.ModuleList(UpBlock(2 * deep, fine) for deep, fine in pairs)
        self.head = upwards(2 * widths[0], classes)

    def forward(self, levels: Levels) -> torch.Tensor:
        """Logits ``(B, classes, X, Y, Z)``."""
        state = self.bottom(levels[-1])
        for up, skip in zip(self.up, levels[:0:-1]):
            state = up(torch.cat([state, skip], 1))
        return torch.as_tensor(self.head(torch.cat([state, levels[0]], 1)))


class UpBlock(nn.Sequential):
    """A transposed convolution that doubles the grid, with instance normalisation.

    Args:
        inputs, outputs: feature channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(upwards(inputs, outputs), nn.InstanceNorm3d(outputs), nn.LeakyReLU(0.01))


def upwards(inputs: int, outputs: int) -> nn.Module:
    """A transposed convolution of 3³ that doubles the grid."""
    return nn.ConvTranspose3d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def mean_of(
    parts: Sequence[tuple[torch.Tensor, torch.Tensor]], like: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of features over those that a sample has; zeros where it has none.

    Args:
        parts: mask ``(B, 1, 1, 1, 1)`` and features of each.
        like: shape of the answer where there is no part at all.
    """
    if not parts:
        assert like is not None
        return torch.zeros_like(like)
    # one after the other: a stack would copy all of them, forth and back
    (count, own), *others = parts
    total = count * own
    for mask, own in others:
        count, total = count + mask, total + mask * own
    return total / count.clamp(min=1)


def _largest(
    parts: Sequence[tuple[torch.Tensor, torch.Tensor]], like: torch.Tensor
) -> torch.Tensor:
    """The largest of each feature among those that a sample has; zeros where it has none."""
    if not parts:
        return torch.zeros_like(like)
    there = torch.stack([mask for mask, _ in parts]).sum(0) > 0
    # each in its own type: in mixed precision they differ
    filled = [own.masked_fill(mask == 0, torch.finfo(own.dtype).min) for mask, own in parts]
    stacked = torch.stack(filled)
    return stacked.amax(0).masked_fill(~there, 0)
