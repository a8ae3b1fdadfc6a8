"""The network at one site: what travels comes from the server, the rest stays with the site."""

from pathlib import Path

import torch
from torch import nn

from fedvox.aggregation.update import Arrays
from fedvox.data.site.site_data import SiteData
from fedvox.files import private_folder
from fedvox.inference.model_files.model_file import describe_model, write_model
from fedvox.job.device import to_device
from fedvox.job.model import initial_model, job_parts, modalities_of
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights, weights_of
from fedvox.training.local_update import case_counts
from fedvox.training.state import load_personal
from fedvox.training.statistics import estimate_statistics


class SiteModel:
    """Puts together the model that a site trains and evaluates.

    A site that has no personal tensors yet takes the initial ones of the job's seed, which are the
    same at every site, and estimates running statistics from its own images without their labels:
    training images, or where it has none those for validation, or for tests.

    Args:
        network: what the site builds of the job's network (:func:`site_network`), with its initial
            weights, on the device; several sites of one process may share it.
        site: the site's cases.
        job: the job's settings.
        state: the site's state folder of this run.
        device: where to compute.

    Attributes:
        travelling: the tensors that the site gets and sends.

    Raises:
        ConfigError: ``training.personal`` does not fit the network.
    """

    def __init__(
        self,
        network: nn.Module,
        site: SiteData,
        job: JobSettings,
        state: Path,
        device: torch.device,
    ) -> None:
        self.network, self.site, self.job = network, site, job
        self.state, self.device = state, device
        self.parts = job_parts(job, network)
        initial = weights_of(network)
        self.travelling = self.parts.travelling(initial, site.modalities)
        self._staying = {n: array for n, array in initial.items() if n not in self.travelling}

    def load(self, received: Arrays, version: int | None = None, trains: bool = True) -> nn.Module:
        """The network with what came and with the site's own tensors.

        Args:
            received: exactly the tensors that travel. For evaluation those of tailored encoders
                may be fewer, as of a model that another site trained: the model is then built
                without these encoders.
            version: rounds that the received model has behind it: the personal tensors are those
                that the site had with it. None for the newest.
            trains: False for evaluation only: a site that came after that version takes the first
                personal tensors that it has.

        Raises:
            ModelError: a name or a shape differs.
        """
        network, names = self.network, [*self.travelling, *self._staying]
        lacks = modalities_of(self.job, self.travelling) - modalities_of(self.job, received)
        if not trains and lacks:
            held = modalities_of(self.job, names) - lacks
            network = to_device(initial_model(self.job, held), self.device)
        built = weights_of(network)
        load_weights(network, received, self.parts.travelling(built, self.site.modalities))
        if not self._staying:
            return network
        own = load_personal(self.state, version, or_later=not trains)
        # by name: the site may have gained or lost a modality since, the model lack one
        staying = {n: own.get(n, first) for n, first in self._staying.items() if n in built}
        load_weights(network, staying, staying)
        if not own:
            self._estimate(network)
        return network

    def _estimate(self, network: nn.Module) -> None:
        site = self.site
        cases = site.train or site.val or site.test
        if cases:
            personal = self.parts.personal
            estimate_statistics(network, personal, cases, self.job, site.name, self.device)


def site_network(job: JobSettings, site: SiteData, device: torch.device) -> nn.Module:
    """What a site builds of the job's network: nothing for modalities that it lacks.

    Args:
        job: the job's settings.
        site: the site's cases.
        device: where to compute.
    """
    return to_device(initial_model(job, site.modalities), device)


def write_own_model(
    folder: Path, model: nn.Module, name: str, site: SiteData, job: JobSettings, version: int
) -> Path:
    """Writes a site's complete model, its personal tensors included; it stays at the site.

    Args:
        folder: where ``model.safetensors`` and ``model.json`` go; nobody else may read it.
        model: a global model with the site's own tensors.
        name: of the global model in tables.
        site: the site's cases.
        job: the job's settings.
        version: rounds that the global model has behind it.
    """
    private_folder(folder)
    weights = weights_of(model)
    trained = list(case_counts(site.train))
    described = describe_model(job, weights, version, site.phantom, trained, site.name, name)
    return write_model(folder, weights, described)
