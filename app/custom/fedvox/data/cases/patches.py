"""Training patches, drawn so that any step of any round can be drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.settings import DataSettings


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        image: ``(B, C, X, Y, Z)`` float32 in [0, 1].
        label: ``(B, X, Y, Z)`` uint8.
        annotated: ``(B, O)`` bool, which of the job's organs each sample's labels can hold.
        present: ``(B, C)`` bool, which channels each sample has; the others are 0.
        ignores: whether some label can hold voxels that nobody annotated.
    """

    image: torch.Tensor
    label: torch.Tensor
    annotated: torch.Tensor
    present: torch.Tensor
    ignores: bool = False

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        parts = (self.image, self.label, self.annotated, self.present)
        moved = [part.to(device, non_blocking=True) for part in parts]
        image, label, annotated, present = moved
        return Batch(image, label, annotated, present, self.ignores)


def draw_batch(
    cases: Sequence[PreparedCase], settings: DataSettings, size: int, generator: torch.Generator
) -> Batch:
    """Draws a batch of patches, each from a case drawn with equal probability.

    A patch is centred on a random voxel of a random organ with probability
    ``settings.foreground``, else it lies anywhere.

    Args:
        cases: training cases, at least one.
        settings: patch size and organs.
        size: number of patches.
        generator: source of all draws.
    """
    images, labels, flags, present, ignores = [], [], [], [], False
    for _ in range(size):
        case = cases[_integer(len(cases), generator)]
        image, label = case.patch(_corner(case, settings, generator), settings.patch)
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
    )


def _corner(
    case: PreparedCase, settings: DataSettings, generator: torch.Generator
) -> tuple[int, ...]:
    shape, patch = case.geometry.grid_shape, settings.patch
    centred = float(torch.rand((), generator=generator)) < settings.foreground
    organs = [index for index, count in enumerate(case.counts) if count]
    if centred and organs:
        places = case.tensor(f"places.{organs[_integer(len(organs), generator)]}")
        place = places[_integer(len(places), generator)].tolist()
        wanted = [p - size // 2 for p, size in zip(place, patch)]
    else:
        wanted = [_integer(max(1, n - size + 1), generator) for n, size in zip(shape, patch)]
    return tuple(
        min(max(w, 0), n - size) if n >= size else (n - size) // 2
        for w, n, size in zip(wanted, shape, patch)
    )


def _integer(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))
