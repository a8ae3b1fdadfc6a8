"""Aggregators by name. One file each, one line here."""

from collections.abc import Callable, Mapping

import numpy as np

from fedvox.aggregation.mean import ReadTensor, weighted_mean
from fedvox.aggregation.update import Arrays
from fedvox.registry import Registry

Aggregate = Callable[[Arrays, ReadTensor, Mapping[str, float]], dict[str, np.ndarray]]

AGGREGATORS: Registry[Aggregate] = Registry("aggregator")
AGGREGATORS.register("mean")(weighted_mean)
