from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Update


@pytest.fixture
def model() -> dict[str, np.ndarray]:
    """A global model of two tensors."""
    return {"bias": np.zeros(3, np.float32), "weight": np.zeros((2, 3), np.float32)}


@pytest.fixture
def update_of() -> Callable[..., Update]:
    """A function from a site and its arrays to an update with honest claims."""

    def make(site: str, arrays: dict[str, np.ndarray], **claims: object) -> Update:
        return Update(
            **{"site": site, "round": 0, "arrays": arrays, "cases": 4, "steps": 10} | claims
        )

    return make


@pytest.fixture
def open_round(model, tmp_path) -> Callable[..., Round]:
    """A function that opens the first round of the model."""

    def make(rule: str = "uniform", index: int = 0, **options) -> Round:
        own = {f.name: options.pop(f.name) for f in fields(RoundRules) if f.name in options}
        store = UpdateStore(tmp_path / "incoming")
        return Round(index, model, store, RoundRules(rule, **own), **options)

    return make
