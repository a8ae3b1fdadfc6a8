"""A case as if it had some of its modalities only: how a model is scored on every subset."""

from collections.abc import Collection, Iterator, Sequence

import torch

from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.settings import subsets


def subset_images(
    case: PreparedCase, channels: Sequence[str]
) -> Iterator[tuple[str, torch.Tensor]]:
    """The image of a case for each subset of the modalities that it has, all of them first.

    Args:
        case: the prepared case.
        channels: of the job; without any there is one image, the case's own.

    Yields:
        The subset as it stands in tables, e.g. ``t1+flair``, and an image ``(C, X, Y, Z)``.
    """
    image = case.tensor("image")
    if not channels:
        yield case.modality, image
        return
    present = [name for name, there in zip(channels, case.present, strict=True) if there]
    for subset in subsets(present):
        yield subset, keep_channels(image, channels, subset.split("+"))


def keep_channels(
    image: torch.Tensor, channels: Sequence[str], kept: Collection[str]
) -> torch.Tensor:
    """A copy of an image in which all other channels are 0, as one is that a case lacks.

    Args:
        image: prepared, ``(C, X, Y, Z)`` in [0, 1].
        channels: the modality of each channel.
        kept: modalities that stay.

    Example:
        >>> image = torch.full((3, 1, 1, 2), 0.5)
        >>> keep_channels(image, ("t1", "t2", "flair"), {"t2"})[:, 0, 0].tolist()
        [[0.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    """
    there = torch.tensor([name in kept for name in channels], device=image.device)
    return torch.where(there[:, None, None, None], image, torch.zeros_like(image))
