"""Aggregators by name. One file each, one line here."""

from collections.abc import Callable

import numpy as np

from fedvox.aggregation.mean import ReadTensor, Shares, weighted_mean
from fedvox.aggregation.update import Arrays
from fedvox.registry import Registry

Aggregate = Callable[[Arrays, ReadTensor, Shares], dict[str, np.ndarray]]
"""``(owned tensors of the model, (site, tensor) -> array, tensor -> site -> weight) -> next``."""

AGGREGATORS: Registry[Aggregate] = Registry("aggregator")
AGGREGATORS.register("mean")(weighted_mean)
