"""The network that a job trains."""

from torch import nn

from fedvox.job.settings import JobSettings
from fedvox.networks import build_network


def initial_model(job: JobSettings) -> nn.Module:
    """The network with the job's initial weights, on the CPU."""
    classes = len(job.data.organs) + 1
    return build_network(job.network, classes, job.training.seed, job.data.in_channels)
