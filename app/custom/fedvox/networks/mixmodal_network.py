"""One encoder per modality, one for all of them, and a memory for the modalities that are missing.

What a modality shows belongs half to itself and half to the anatomy. Each image goes through the
encoder of its modality (``tailored.<modality>``) and through the one that all share (``shared``).
``fusion`` puts the levels of all images of a case together, ``decoder`` makes logits of them. A
tailored feature that is missing is looked up in ``memory.<modality>``: one prototype per organ, a
mean over the sites that have the modality, chosen by what the shared features see.

A channel that is constant over a window is missing there: preparation leaves exactly 0 where an
image is missing, and a modality is dropped by the same 0. Where a site, or a site's model, lacks a
modality's tailored encoder, its image still goes through the shared one.

Reference:
    Wang et al., "Multi-modal Learning with Missing Modality via Shared-Specific Feature Modelling",
    CVPR 2023 (shared and specific encoders). Dai et al., "Federated Modality-Specific Encoders and
    Multimodal Anchors for Personalized Brain Tumor Segmentation", AAAI 2024 (encoders by modality
    in federation). Havaei et al., "HeMIS: Hetero-Modal Image Segmentation", MICCAI 2016 (moments
    over the modalities that are there). The composition is this project's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from fedvox.networks.mixmodal_blocks import (
    Decoder,
    Encoder,
    Fusion,
    Levels,
    Masks,
    Prototypes,
    mean_of,
)
from fedvox.networks.mixmodal_settings import TAILORED, MixModalSettings
from fedvox.networks.outputs import (
    ANCHORS,
    DEEP,
    DROPPED_DEEP,
    DROPPED_LOGITS,
    IDENTITY,
    LOGITS,
    MIDDLE,
    PRESENT,
    SHARED,
)
from fedvox.networks.settings import Sizes
from fedvox.seeding import derive_seed

MEMORY_LEVEL = 1
"""The level whose features the prototypes are means of: a quarter of the patch's resolution."""


@dataclass(frozen=True)
class Encoded:
    """The images of a batch after their encoders.

    Attributes:
        tailored: modality -> levels of its own encoder, of the modalities that have one here.
        shared: modality -> levels of the shared encoder.
        present: of the modalities of ``shared``.
    """

    tailored: Mapping[str, Levels]
    shared: Mapping[str, Levels]
    present: Masks

    def keeping(self, kept: Masks) -> "Encoded":
        """The same with fewer images: those that are there and kept."""
        return replace(self, present={m: own * kept[m] for m, own in self.present.items()})


class MixModal(nn.Module):
    """From ``(B, C, X, Y, Z)`` to logits ``(B, K, X, Y, Z)``, with any channels missing.

    Args:
        settings: widths and memory.
        sizes: the job's channels, its classes K, and the modalities whose encoders are built.

    Attributes:
        drops: it drops channels itself, so that the encoders run once for the whole and for the
            dropped input.
    """

    drops = True

    def __init__(self, settings: MixModalSettings, sizes: Sizes) -> None:
        super().__init__()
        self.channels, self.recalls = sizes.channels, settings.prototypes
        widths = settings.channels
        seed = torch.initial_seed()  # of the job: build_network has set it
        self.tailored = nn.ModuleDict()
        for modality in sizes.channels:
            if settings.tailored and modality in sizes.held:
                with _drawn_alone(seed, f"{TAILORED}.{modality}"):
                    self.tailored[modality] = Encoder(widths)
        with _drawn_alone(seed, "shared"):
            self.shared = Encoder(widths, deep=True)
        with _drawn_alone(seed, "fusion"):
            self.fusion = Fusion(widths, sizes.channels, MEMORY_LEVEL)
        with _drawn_alone(seed, "decoder"):
            self.decoder = Decoder(widths, sizes.classes)
        self.memory = Prototypes(sizes.channels, sizes.classes, widths[MEMORY_LEVEL])

    def forward(
        self, image: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits; in training also what the terms of its loss compare.

        Args:
            image: ``(B, C, X, Y, Z)``, normalised; a constant channel is missing.
            kept: ``(B, C)``, 1 for the channels that stay after dropping some, else 0; in training
                only.

        Returns:
            Logits ``(B, K, X, Y, Z)``; in training these and more, by the names of
            :mod:`fedvox.networks.outputs`.
        """
        encoded = self.encode(image)
        whole = self._fused(encoded)
        if not self.training:
            return torch.as_tensor(self.decoder(whole))
        told = {DEEP: whole[-1], **self._by_modality(encoded)}
        if kept is None:
            return {LOGITS: self.decoder(whole), **told}
        masks = {m: kept[:, i, None, None, None, None] for i, m in enumerate(self.channels)}
        dropped = self._fused(encoded.keeping(masks))
        both = self.decoder([torch.cat(levels) for levels in zip(whole, dropped)])
        logits, dropped_logits = both.chunk(2)
        return {LOGITS: logits, DROPPED_LOGITS: dropped_logits, DROPPED_DEEP: dropped[-1], **told}

    def encode(self, image: torch.Tensor) -> Encoded:
        """Every image through its encoders; one that no sample of the batch has is left out.

        Args:
            image: as for :meth:`forward`.
        """
        there = present_channels(image)[..., None, None, None, None].to(image.dtype)
        # a trace and a measurement without numbers take every branch
        all_of_them = torch.jit.is_tracing() or image.is_meta
        found = {m: i for i, m in enumerate(self.channels) if all_of_them or there[:, i].any()}
        channels = {m: image[:, i : i + 1] for m, i in found.items()}
        levels = [level.chunk(len(found)) for level in self.shared(torch.cat([*channels.values()]))]
        own = {m: self.tailored[m](channels[m]) for m in found if m in self.tailored}
        shared = {m: [level[k] for level in levels] for k, m in enumerate(found)}
        return Encoded(own, shared, {m: there[:, i] for m, i in found.items()})

    def _fused(self, encoded: Encoded) -> Levels:
        prototypes = self.memory.tailored if self.recalls else None
        fused: Levels = self.fusion(encoded.shared, encoded.tailored, encoded.present, prototypes)
        return fused

    def _by_modality(self, encoded: Encoded) -> dict[str, torch.Tensor]:
        """What the terms that compare modalities read.

        Returns:
            By the names of :mod:`fedvox.networks.outputs`.
        """
        deep = next(iter(encoded.shared.values()))[-1]
        empty, nobody = torch.zeros_like(deep), deep.new_zeros(len(deep), 1, 1, 1, 1)
        there = torch.cat([encoded.present.get(m, nobody) for m in self.channels], 1)
        shared = [encoded.shared[m][-1] if m in encoded.shared else empty for m in self.channels]
        middle = [(encoded.present[m], own[MEMORY_LEVEL]) for m, own in encoded.shared.items()]
        return {
            SHARED: torch.cat(shared, 1),
            MIDDLE: mean_of(middle),
            PRESENT: there,
            IDENTITY: torch.stack([self._identity(m, encoded, empty) for m in self.channels], 1),
            ANCHORS: self._anchors(there),
        }

    def _identity(self, modality: str, encoded: Encoded, empty: torch.Tensor) -> torch.Tensor:
        """``(B, C + 1, 1, 1)``: scores of all modalities, and whether there is such a feature."""
        own = encoded.tailored.get(modality)
        if own is None:
            return empty.new_zeros(len(empty), len(self.channels) + 1, 1, 1)
        told = self.fusion.identity(own[-1].mean((2, 3, 4)))
        flag = encoded.present[modality].flatten(1).to(told.dtype)
        return torch.cat([told, flag], 1)[..., None, None]

    def _anchors(self, there: torch.Tensor) -> torch.Tensor:
        """Mean of the known shared prototypes of the modalities that a sample lacks."""
        rows = torch.stack([self.memory.shared(m) for m in self.channels])  # (C, K, F)
        known = (rows != 0).any(2).to(rows.dtype)
        lacks = 1 - there.flatten(1).to(rows.dtype)
        total = torch.einsum("bc,ckf->bkf", lacks, rows)
        count = torch.einsum("bc,ck->bk", lacks, known)
        return (total / count[..., None].clamp(min=1))[..., None, None]


def present_channels(image: torch.Tensor) -> torch.Tensor:
    """Which channels of a batch have an image: those that are not constant.

    A sample of which no channel shows anything, such as a window of air, has all of them.

    Args:
        image: ``(B, C, X, Y, Z)``.

    Returns:
        ``(B, C)`` bool.
    """
    flat = image.flatten(2)
    there = flat.amax(2) > flat.amin(2)
    return there | ~there.any(1, keepdim=True)


@contextmanager
def _drawn_alone(seed: int, part: str) -> Iterator[None]:
    """Initial weights of a part depend on seed and name alone, whatever else is built."""
    torch.default_generator.manual_seed(derive_seed(seed, part))
    yield
