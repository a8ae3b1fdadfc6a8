"""The arms of a comparison: each site alone, all cases in one place, and the federation.

Every arm trains the sites that train, with the job's optimiser steps for each model and site, and
chooses on validation cases. :func:`score_models` then scores all models at all sites alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fedvox.aggregation.update import Arrays
from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError
from fedvox.inference.site_rows import site_rows
from fedvox.job.device import prepare_device, to_device
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.job.weights import load_weights
from fedvox.metrics.models import BEST, LAST
from fedvox.metrics.table import MetricRow
from fedvox.registry import Registry
from fedvox.training.in_process import run_in_process

CENTRALISED = "centralised"
Arm = Callable[[Sequence[SiteData], JobSettings, Path], dict[str, Arrays]]
"""``(opened sites, job, folder) -> model's name -> weights``."""
ARMS: Registry[Arm] = Registry("arm")


@ARMS.register("local")
def local(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, Arrays]:
    """One model for each site that trains, of its own cases only, by the site's name."""
    return {
        site.name: run_in_process([site], _without_server(job), folder / site.name).best
        for site in sites
        if not site.external
    }


@ARMS.register("centralised")
def centralised(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, Arrays]:
    """One model of all cases in one place, in as many optimiser steps as one site takes."""
    together = merged([site for site in sites if not site.external])
    return {CENTRALISED: run_in_process([together], _without_server(job), folder).best}


@ARMS.register("federated")
def federated(sites: Sequence[SiteData], job: JobSettings, folder: Path) -> dict[str, Arrays]:
    """The job itself: its best and its last global model."""
    result = run_in_process(sites, job, folder)
    return {BEST: result.best, LAST: result.last}


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
    )


def score_models(
    models: Mapping[str, Arrays], sites: Sequence[SiteData], job: JobSettings, split: str = "test"
) -> list[MetricRow]:
    """Every model at every site, those that only test too.

    Args:
        models: name -> weights, as an arm returns them.
        sites: opened sites.
        job: the job's settings.
        split: ``test``, ``val`` or ``train``.

    Returns:
        One row per model, site, case and organ, for :func:`fedvox.metrics.summary.summarise`.
    """
    device = prepare_device(job.training)
    network = to_device(initial_model(job), device)
    rows: list[MetricRow] = []
    for name, weights in models.items():
        load_weights(network, weights)
        for site in sites:
            rows += site_rows(network, name, site, job, split, device)
    return rows


def _without_server(job: JobSettings) -> JobSettings:
    """The same training with nothing of a server: the mean of one model is that model."""
    plain = replace(job.training, server_momentum=0.0, aggregator="mean", client_weight="uniform")
    return replace(job, training=plain)
