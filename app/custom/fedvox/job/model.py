"""The network that a job trains."""

from torch import nn

from fedvox.job.settings import JobSettings
from fedvox.networks import build_network
from fedvox.networks.parts import Parts, personal_tensors
from fedvox.networks.settings import Sizes


def initial_model(job: JobSettings) -> nn.Module:
    """The network with the job's initial weights, on the CPU."""
    sizes = Sizes(job.data.in_channels, len(job.data.organs) + 1, job.data.patch)
    return build_network(job.network, sizes, job.training.seed)


def job_parts(job: JobSettings, model: nn.Module | None = None) -> Parts:
    """Which tensors of the job's network a site has, and which stay there.

    Args:
        job: the job's settings.
        model: the job's network, if it is at hand.

    Raises:
        ConfigError: ``training.personal`` names what the network lacks, or all of it.
    """
    patterns = job.training.personal
    kept = personal_tensors(model or initial_model(job), patterns) if patterns else frozenset()
    return Parts(owned=job.network.owned, personal=kept.__contains__)
