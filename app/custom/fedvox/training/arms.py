"""The arms of a comparison: each site alone, all cases in one place, and the federation.

Every arm trains the sites that train, with the job's optimiser steps for each model and site, and
chooses on validation cases. :func:`score_models` then scores all models at all sites alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedvox.aggregation.aggregator_settings import AggregatorSettings
from fedvox.aggregation.screening_settings import ScreeningSettings
from fedvox.aggregation.update import Arrays
from fedvox.aggregation.weighing.settings import WeighingSettings
from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError
from fedvox.inference.site_rows import site_rows
from fedvox.job.device import prepare_device
from fedvox.job.model import job_parts
from fedvox.job.settings import JobSettings
from fedvox.metrics.models import BEST, LAST
from fedvox.metrics.table import MetricRow
from fedvox.registry import Registry
from fedvox.training.in_process import received_part, run_in_process
from fedvox.training.local_update import case_counts
from fedvox.training.site_model import SiteModel, site_network

CENTRALISED = "centralised"


@dataclass(frozen=True)
class ArmModel:
    """A model that an arm trained.

    Attributes:
        weights: the tensors that all sites share; where ``job`` keeps some at the sites, without
            these, and without what belongs to a modality that no site trained.
        job: the settings that it was trained with.
        folder: of its run; each site's own tensors lie in the subfolder of its name.
        version: rounds that it has behind it.
    """

    weights: Arrays
    job: JobSettings
    folder: Path
    version: int


Arm = Callable[[Sequence[SiteData], JobSettings, Path], dict[str, ArmModel]]
"""``(opened sites, job, folder) -> model's name -> model``."""
ARMS: Registry[Arm] = Registry("arm")


@ARMS.register("local")
def local(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, ArmModel]:
    """One model for each site that trains, of its own cases only, by the site's name."""
    return {
        site.name: _trained([site], _without_server(job), folder / site.name)[0]
        for site in sites
        if not site.external
    }


@ARMS.register("centralised")
def centralised(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, ArmModel]:
    """One model of all cases in one place, in as many optimiser steps as one site takes."""
    together = merged([site for site in sites if not site.external])
    return {CENTRALISED: _trained([together], _without_server(job), folder)[0]}


@ARMS.register("federated")
def federated(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, ArmModel]:
    """The job itself: its best and its last global model."""
    return dict(zip((BEST, LAST), _trained(sites, job, folder), strict=True))


def merged(sites: Sequence[SiteData]) -> SiteData:
    """All cases of several sites as those of one.

    Raises:
        ConfigError: there is no site.
    """
    if not sites:
        raise ConfigError("no site trains: all only test ('split'); add a site that trains")
    return SiteData(
        name=CENTRALISED,
        train=[case for site in sites for case in site.train],
        val=[case for site in sites for case in site.val],
        test=[case for site in sites for case in site.test],
        phantom=any(site.phantom for site in sites),
        attachments=tuple(sorted({name for site in sites for name in site.attachments})),
    )


def score_models(
    models: Mapping[str, ArmModel], sites: Sequence[SiteData], split: str = "test"
) -> list[MetricRow]:
    """Every model at every site, those that only test too.

    Where sites keep tensors for themselves, each scores a model with those that it had with that
    version; a site that never trained estimates its statistics, see
    :class:`fedvox.training.site_model.SiteModel`.

    Args:
        models: name -> model, as an arm returns them.
        sites: opened sites.
        split: ``test``, ``val`` or ``train``.

    Returns:
        One row per model, site, case and organ, for :func:`fedvox.metrics.summary.summarise`.
    """
    rows: list[MetricRow] = []
    for name, model in models.items():
        device = prepare_device(model.job.training)
        for site in sites:
            network = site_network(model.job, site, device)
            own = SiteModel(network, site, model.job, model.folder / site.name, device)
            shared = received_part(model.weights, own.travelling)
            network = own.load(shared, model.version, trains=False)
            rows += site_rows(network, name, site, model.job, split, device)
    return rows


def _trained(
    sites: Sequence[SiteData], job: JobSettings, folder: Path
) -> tuple[ArmModel, ArmModel]:
    """The best and the last model of a run in this process."""
    result = run_in_process(sites, job, folder)
    modalities = {name for site in sites for name in case_counts(site.train)}
    trained = job_parts(job).travelling(result.last, modalities)
    best, weights = (received_part(own, trained) for own in (result.best, result.last))
    last = ArmModel(weights, job, folder, len(result.rounds))
    version = result.choice.version if result.choice else last.version
    return replace(last, weights=best, version=version), last


def _without_server(job: JobSettings) -> JobSettings:
    """The same training with nothing of a server: the mean of one model is that model.

    Nothing has to stay at the only site, so its model is complete.
    """
    plain = replace(
        job.training,
        server_momentum=0.0,
        aggregator=AggregatorSettings(),
        client_weight=WeighingSettings("uniform"),
        personal=(),
    )
    nobody = ScreeningSettings(clip=0.0, refuse=0.0, suspend=0, rollback=0.0)
    return replace(job, training=plain, screening=nobody)
