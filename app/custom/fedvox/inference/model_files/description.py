"""What `model.json` tells of a model; nothing here needs PyTorch."""

from collections.abc import Iterable, Mapping
from typing import Any

from fedvox.data.settings import singles


def untrained(description: Mapping[str, Any], modalities: Iterable[str]) -> list[str]:
    """Those of some modalities that the model was trained without.

    Args:
        description: content of ``model.json``; an empty answer where it does not tell.
        modalities: single ones.
    """
    sets = description.get("modalities")
    if not isinstance(sets, list) or not sets:
        return []
    return [name for name in modalities if name not in singles(map(str, sets))]
