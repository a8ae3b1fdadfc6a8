"""A job's settings as the rules of its rounds at the server."""

from fedvox.aggregation.downlink import Downlink
from fedvox.aggregation.round_rules import RoundRules
from fedvox.job.settings import JobSettings


def round_rules(job: JobSettings) -> RoundRules:
    """How the updates of a round become the next model.

    Args:
        job: the job's settings.
    """
    training, down = job.training, None
    if job.compression is not None:
        down = Downlink(job.compression, training.rounds)
    return RoundRules(
        training.client_weight,
        training.aggregator,
        training.steps,
        training.server_momentum,
        down,
        job.network,
        job.screening,
        training.minutes > 0,
    )
