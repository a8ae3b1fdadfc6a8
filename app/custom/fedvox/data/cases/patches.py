"""Training patches, drawn so that any step of any round can be drawn again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.samplers import build_sampler
from fedvox.data.settings import DataSettings
from fedvox.seeding import draw_integer


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        image: ``(B, C, X, Y, Z)`` float32 in [0, 1].
        label: ``(B, X, Y, Z)`` uint8.
        annotated: ``(B, O)`` bool, which of the job's organs each sample's labels can hold.
        present: ``(B, C)`` bool, which channels each sample has; the others are 0.
        ignores: whether some label can hold voxels that nobody annotated.
        complete: whether every sample annotates every organ.
    """

    image: torch.Tensor
    label: torch.Tensor
    annotated: torch.Tensor
    present: torch.Tensor
    ignores: bool = False
    complete: bool = False

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """The batch in page-locked memory, from which a GPU copies without making the host wait."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        parts = (self.image, self.label, self.annotated, self.present)
        image, label, annotated, present = map(change, parts)
        return Batch(image, label, annotated, present, self.ignores, self.complete)


def draw_batch(
    cases: Sequence[PreparedCase], settings: DataSettings, size: int, generator: torch.Generator
) -> Batch:
    """Draws a batch of patches, each from a case drawn with equal probability.

    Args:
        cases: training cases, at least one.
        settings: patch size, organs, and the sampler, which says where in the case a patch lies.
        size: number of patches.
        generator: source of all draws.
    """
    sampler = build_sampler(settings.sampler)
    images, labels, flags, present, ignores = [], [], [], [], False
    for _ in range(size):
        case = cases[draw_integer(len(cases), generator)]
        centre = sampler(case, generator)
        corner = _corner(case.geometry.grid_shape, settings.patch, centre, generator)
        image, label = case.patch(corner, settings.patch)
        images.append(image)
        labels.append(label)
        flags.append([organ in case.annotated for organ in settings.organs])
        present.append(case.present)
        ignores = ignores or case.ignores
    return Batch(
        torch.stack(images),
        torch.stack(labels),
        torch.tensor(flags),
        torch.tensor(present),
        ignores,
        all(map(all, flags)),
    )


def _corner(
    shape: Sequence[int],
    patch: Sequence[int],
    centre: Sequence[int] | None,
    generator: torch.Generator,
) -> tuple[int, ...]:
    """Where a patch begins: about its centre or anywhere, moved into the volume."""
    if centre is None:
        wanted = [draw_integer(max(1, n - size + 1), generator) for n, size in zip(shape, patch)]
    else:
        wanted = [place - size // 2 for place, size in zip(centre, patch)]
    return tuple(
        min(max(w, 0), n - size) if n >= size else (n - size) // 2
        for w, n, size in zip(wanted, shape, patch)
    )
