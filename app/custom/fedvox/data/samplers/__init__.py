"""Samplers by name: where in a case a training patch lies. One file each, one entry here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fedvox.data.samplers.settings import SamplerSettings
from fedvox.registry import Registry

if TYPE_CHECKING:  # names are known where PyTorch is not installed
    import torch

    from fedvox.data.cases.prepared import PreparedCase
    from fedvox.data.settings import DataSettings

Sampler: TypeAlias = (
    "Callable[[PreparedCase, DataSettings, torch.Generator], tuple[int, int, int] | None]"
)
"""``(case, data settings, generator) -> voxel on the job's grid that a patch is centred on``, or
None for a patch that lies anywhere, drawn evenly."""

SAMPLERS: Registry[Callable[[Any], Sampler]] = Registry("sampler")
"""Name -> builder, from its own settings."""


@SAMPLERS.register("foreground", SamplerSettings)
def _foreground(settings: SamplerSettings) -> Sampler:
    from fedvox.data.samplers.foreground import foreground

    return foreground


def build_sampler(settings: SamplerSettings) -> Sampler:
    """The sampler that the settings name.

    Args:
        settings: ``data.sampler`` of a job.

    Raises:
        ConfigError: the name is not registered; lists those that are.
    """
    return SAMPLERS[settings.name](settings)
