from collections.abc import Callable

import numpy as np
import pytest

from fedvox.aggregation.round import Round
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

    def make(rule: str = "uniform", **options) -> Round:
        return Round(0, model, UpdateStore(tmp_path / "incoming"), rule, **options)

    return make
