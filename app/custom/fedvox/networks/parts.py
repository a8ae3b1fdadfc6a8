"""Which tensors of a network a site has, and which of them travel between it and the server."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fedvox.data.settings import singles
from fedvox.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

NORM = "norm"
"""The pattern that stands for every tensor of a normalisation layer, whatever the layer's name."""
_EXAMPLES = 3


@dataclass(frozen=True)
class Parts:
    """What of a network is whose.

    Attributes:
        owned: ``(tensor, single modalities of a site) -> bool``: whether a site with these
            modalities has the tensor at all.
        personal: whether a tensor stays at the site that trains it.
    """

    owned: Callable[[str, Collection[str]], bool]
    personal: Callable[[str], bool]

    def common(self, names: Collection[str]) -> list[str]:
        """The tensors of the global model, in the order of ``names``: those that are not personal.

        Args:
            names: all tensors of the network.
        """
        return [name for name in names if not self.personal(name)]

    def travelling(self, names: Collection[str], modalities: Collection[str]) -> frozenset[str]:
        """The tensors that a site gets and sends: its own that are not personal.

        Args:
            names: all tensors of the network, or those of the global model.
            modalities: modality sets of the site's cases as it registers them, e.g.
                ``["t1+flair"]``.
        """
        single = singles(modalities)
        return frozenset(name for name in self.common(names) if self.owned(name, single))


def personal_tensors(model: "nn.Module", patterns: Collection[str]) -> frozenset[str]:
    """The floating tensors of a network that patterns name.

    Args:
        model: the network.
        patterns: ``norm`` for all tensors of normalisation layers, found by the layers' types,
            running statistics included; anything else is a shell pattern of tensor names such as
            ``model.2.*``.

    Raises:
        ConfigError: a pattern names no tensor, or nothing is left to travel.

    Reference:
        Li et al., "FedBN: Federated Learning on Non-IID Features via Local Batch Normalization",
        ICLR 2021.
    """
    names = [name for name, tensor in model.state_dict().items() if tensor.is_floating_point()]
    found: set[str] = set()
    for pattern in patterns:
        chosen = _chosen(model, names, pattern)
        if not chosen:
            raise ConfigError(
                f"'training.personal' names '{pattern}', and no tensor of the network is called "
                f"so; use '{NORM}' or a pattern of tensor names such as {_examples(names)}"
            )
        found |= chosen
    if len(found) == len(names):
        raise ConfigError(
            f"'training.personal' is {', '.join(patterns)}: that is every tensor of the network, "
            "so nothing would travel; name fewer, or train each site alone"
        )
    return frozenset(found)


def _chosen(model: "nn.Module", names: Collection[str], pattern: str) -> set[str]:
    if pattern == NORM:
        return norm_tensors(model) & set(names)
    return {name for name in names if fnmatchcase(name, pattern)}


def norm_tensors(model: "nn.Module") -> set[str]:
    """The tensors of all normalisation layers: weights, biases and running statistics."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase  # of all batch and instance normalisations

    kinds = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    return {
        f"{place}.{name}" if place else name
        for place, layer in model.named_modules()
        if isinstance(layer, kinds)
        for name in layer.state_dict()
    }


def _examples(names: Collection[str]) -> str:
    """A few layers of the network, as patterns."""
    layers = dict.fromkeys(f"{name.rpartition('.')[0]}.*" for name in names if "." in name)
    chosen = list(layers)[:_EXAMPLES] or list(names)[:_EXAMPLES]
    return ", ".join(f"'{layer}'" for layer in chosen)
