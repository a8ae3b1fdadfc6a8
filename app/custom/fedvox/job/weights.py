"""A network's weights as plain arrays, the form in which they travel and rest."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import nn

from fedvox.errors import ModelError


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Copies every floating tensor of a model's state to float32 arrays on the CPU.

    Integer buffers (index tables, counters) stay out: averaging would corrupt them.
    """
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=True).numpy()
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point()
    }


def load_weights(
    model: nn.Module, weights: Mapping[str, np.ndarray], names: Collection[str] | None = None
) -> None:
    """Loads weights into a model of exactly the same architecture.

    Args:
        model: the model; what is not loaded stays as it is.
        weights: exactly the tensors that are loaded.
        names: which these are; None for every floating tensor of the model.

    Raises:
        ModelError: a name or a shape differs; nothing is loaded then.
    """
    own = {n: t for n, t in model.state_dict().items() if t.is_floating_point()}
    if names is not None:
        own = {name: tensor for name, tensor in own.items() if name in names}
    missing, extra = set(own) - set(weights), set(weights) - set(own)
    if missing or extra:
        raise ModelError(
            f"the weights belong to another network: {len(missing)} tensors missing, {len(extra)} "
            "unknown; use the settings that the model was trained with"
        )
    for name, tensor in own.items():
        if tuple(tensor.shape) != tuple(weights[name].shape):
            raise ModelError(
                f"the weights belong to another network: '{name}' is "
                f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.asarray(weights[name], order="C")))
