"""Aggregators by name. One file each, one line here."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fedvox.aggregation.aggregator_settings import (
    AggregatorSettings,
    EachOnceSettings,
    TrimmedMeanSettings,
)
from fedvox.aggregation.mean import ReadTensor, Shares, weighted_mean
from fedvox.aggregation.robust import coordinate_median, trimmed_mean
from fedvox.aggregation.update import Arrays
from fedvox.registry import Registry

Aggregate = Callable[[Arrays, ReadTensor, Shares], dict[str, np.ndarray]]
"""``(owned tensors of the model, (site, tensor) -> array, tensor -> site -> weight) -> next``."""

AGGREGATORS: Registry[Callable[[Any], Aggregate]] = Registry("aggregator")
"""Name -> builder, from its own settings."""

AGGREGATORS.register("mean", AggregatorSettings)(lambda settings: weighted_mean)
AGGREGATORS.register("median", EachOnceSettings)(lambda settings: coordinate_median)
AGGREGATORS.register("trimmed_mean", TrimmedMeanSettings)(
    lambda own: partial(trimmed_mean, settings=own)
)
