"""Samplers by name: where in a case a training patch lies. One file each, one entry here."""

from collections.abc import Callable
from typing import Any

from fedvox.data.samplers.sampler import Sampler
from fedvox.data.samplers.settings import ForegroundSettings, SamplerSettings
from fedvox.registry import Registry

SAMPLERS: Registry[Callable[[Any], Sampler]] = Registry("sampler")
"""Name -> builder, from its own settings."""


@SAMPLERS.register("foreground", ForegroundSettings)
def _foreground(settings: ForegroundSettings) -> Sampler:
    from fedvox.data.samplers.foreground import foreground

    return lambda case, generator: foreground(case, settings.share, generator)


def build_sampler(settings: SamplerSettings) -> Sampler:
    """The sampler that the settings name.

    Args:
        settings: ``data.sampler`` of a job.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    return SAMPLERS[settings.name](settings)
