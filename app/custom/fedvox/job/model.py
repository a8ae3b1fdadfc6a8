"""The network that a job trains."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from torch import nn

from fedvox.data.settings import singles
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights
from fedvox.networks import build_network
from fedvox.networks.parts import Parts, personal_tensors
from fedvox.networks.settings import Sizes


def initial_model(job: JobSettings, modalities: Collection[str] | None = None) -> nn.Module:
    """The network with the job's initial weights, on the CPU.

    Args:
        job: the job's settings.
        modalities: modality sets of a site's cases, such as ``t1+flair``: of a network with parts
            for each modality only theirs are built, with the weights that they have in the whole.
            None for all of it.
    """
    data = job.data
    held = singles(data.channels if modalities is None else modalities)
    sizes = Sizes(data.in_channels, len(data.organs) + 1, data.patch, data.channels, held)
    return build_network(job.network, sizes, job.training.seed)


def modalities_of(job: JobSettings, names: Iterable[str]) -> frozenset[str]:
    """The modalities that some tensors belong to alone.

    Args:
        job: the job's settings.
        names: of tensors of its network.
    """
    found = {job.network.modality_of(name) for name in names}
    return frozenset(modality for modality in found if modality is not None)


def model_of(job: JobSettings, weights: Mapping[str, np.ndarray]) -> nn.Module:
    """The network of a model, on the CPU, without the parts for modalities that the model lacks.

    Args:
        job: the settings that it was trained with.
        weights: of a global model, or of one that a site completed, which has the parts for the
            site's modalities only.

    Raises:
        ModelError: the weights belong to another network.
    """
    model = initial_model(job, modalities_of(job, weights))
    load_weights(model, weights)
    return model


def job_parts(job: JobSettings, model: nn.Module | None = None) -> Parts:
    """Which tensors of the job's network a site has, and which stay there.

    Args:
        job: the job's settings.
        model: the job's network, if it is at hand.

    Raises:
        ConfigError: ``training.personal`` names what the network lacks, all of it, or what the
            server writes.
    """
    patterns = job.training.personal
    if not patterns:
        return Parts(owned=job.network.owned, personal=frozenset[str]().__contains__)
    # a site's model may lack the modality that a pattern names; the job's has them all
    whole = initial_model(job) if model is None or job.network.needs_channels else model
    kept = personal_tensors(whole, patterns)
    if theirs := sorted(filter(job.network.of_server, kept)):
        raise ConfigError(
            f"'training.personal' is {', '.join(patterns)}, which names '{theirs[0]}': the server "
            "writes it and sends it to all sites; take patterns that leave it out"
        )
    return Parts(owned=job.network.owned, personal=kept.__contains__)
