"""How much each site's update counts: decided when all have come, by name.

A rule sees every accepted update with its screened claims, may read tensors, and has the memory of
the rounds before, to which it may add. One file each, one entry in :data:`WEIGHING`.

Example:
    >>> from fedvox.aggregation.memory import Memory
    >>> from fedvox.aggregation.update import Update
    >>> registered = {"a": {"ct": 30}, "b": {"ct": 10}, "c": {"mr": 10}}
    >>> updates = {
    ...     site: Update(site=site, arrays={}, cases=sum(own.values()), steps=50, training=own)
    ...     for site, own in registered.items()
    ... }
    >>> for name in ("cases", "steps", "uniform", "modality_first"):
    ...     shares, _ = build_weighing(name)(updates, lambda site, name: {}[name], {}, Memory())
    ...     total = sum(share.weight for share in shares.values())
    ...     print(name, {site: round(share.weight / total, 3) for site, share in shares.items()})
    cases {'a': 0.6, 'b': 0.2, 'c': 0.2}
    steps {'a': 0.333, 'b': 0.333, 'c': 0.333}
    uniform {'a': 0.333, 'b': 0.333, 'c': 0.333}
    modality_first {'a': 0.375, 'b': 0.125, 'c': 0.5}
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from fedvox.aggregation.weighing.adaptive import adaptive
from fedvox.aggregation.weighing.fedce import fedce
from fedvox.aggregation.weighing.fedpid import fedpid
from fedvox.aggregation.weighing.modality_first import modality_first
from fedvox.aggregation.weighing.plain import by_cases, by_steps, uniform
from fedvox.aggregation.weighing.settings import (
    AdaptiveSettings,
    FedCESettings,
    FedPIDSettings,
    WeighingSettings,
)
from fedvox.aggregation.weighing.share import Weigh
from fedvox.registry import Registry

WEIGHING: Registry[Callable[[Any], Weigh]] = Registry("client weight")
"""Name -> builder, from its own settings."""

WEIGHING.register("cases", WeighingSettings)(lambda settings: by_cases)
WEIGHING.register("steps", WeighingSettings)(lambda settings: by_steps)
WEIGHING.register("uniform", WeighingSettings)(lambda settings: uniform)
WEIGHING.register("modality_first", WeighingSettings)(lambda settings: modality_first)
WEIGHING.register("adaptive", AdaptiveSettings)(lambda own: partial(adaptive, settings=own))
WEIGHING.register("fedce", FedCESettings)(lambda own: partial(fedce, settings=own))
WEIGHING.register("fedpid", FedPIDSettings)(lambda own: partial(fedpid, settings=own))


def build_weighing(settings: WeighingSettings | str) -> Weigh:
    """The rule that the settings name.

    Args:
        settings: ``training.client_weight`` of a job; a name is short for its defaults.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    return WEIGHING[weighing_settings(settings).name](weighing_settings(settings))


def weighing_settings(settings: WeighingSettings | str) -> WeighingSettings:
    """The settings themselves; of a name, its defaults.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    if isinstance(settings, WeighingSettings):
        return settings
    named: WeighingSettings = WEIGHING.settings(settings)(name=settings)
    return named
