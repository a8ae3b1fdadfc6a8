"""A network for any set of modalities: an encoder for each, one for all, and a memory.

The modules themselves are in :mod:`fedvox.networks.mixmodal_network`.
"""

from typing import TYPE_CHECKING

from fedvox.networks.mixmodal_settings import MixModalSettings
from fedvox.networks.settings import Sizes

if TYPE_CHECKING:
    from torch import nn


def build_mixmodal(settings: MixModalSettings, sizes: Sizes) -> "nn.Module":
    """Builds a network from ``(B, C, X, Y, Z)`` to logits ``(B, classes, X, Y, Z)``.

    Args:
        settings: widths and memory.
        sizes: the job's channels, classes, and the modalities that are built.
    """
    from fedvox.networks.mixmodal_network import MixModal

    return MixModal(settings, sizes)
