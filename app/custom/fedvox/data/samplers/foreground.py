"""A share of patches centred on organs, all organs alike, whatever their size."""

import torch

from fedvox.data.samplers.sampler import Places
from fedvox.seeding import draw_integer


def foreground(
    case: Places, share: float, generator: torch.Generator
) -> tuple[int, int, int] | None:
    """A random voxel of a random organ of the case, in a share of draws.

    Args:
        case: whose organs are drawn with equal probability, then a voxel of the organ.
        share: of draws, 0 to 1.
        generator: source of all draws.

    Returns:
        The voxel; None in the other draws, and for a case without organs.

    Reference:
        Isensee et al., "nnU-Net", Nature Methods 2021, oversampling of foreground; there at least
        one patch of each batch, here a share of all.
    """
    centred = float(torch.rand((), generator=generator)) < share
    organs = [index for index, count in enumerate(case.counts) if count]
    if not centred or not organs:
        return None
    places = case.tensor(f"places.{organs[draw_integer(len(organs), generator)]}")
    x, y, z = places[draw_integer(len(places), generator)].tolist()
    return x, y, z
