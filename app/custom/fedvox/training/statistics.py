"""Running statistics for a site that has not trained: estimated from its own images, no labels.

A batch normalisation whose tensors stay at the sites has, at a site that never trained, no
statistics that fit the site's images: evaluated with its initial ones (mean 0, variance 1) a model
would find nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # of every dimension

from fedvox.data.cases.patches import draw_batch
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.samplers.settings import ForegroundSettings
from fedvox.inference.normalise import normalise
from fedvox.job.device import autocast
from fedvox.job.settings import JobSettings
from fedvox.seeding import generator

BATCHES = 16
"""Batches over which the statistics are averaged."""


@torch.no_grad()
def estimate_statistics(
    model: nn.Module,
    personal: Callable[[str], bool],
    cases: Sequence[PreparedCase],
    job: JobSettings,
    site: str,
    device: torch.device,
) -> None:
    """Replaces the personal running statistics, in place, by the mean over batches of patches.

    The patches lie anywhere in the cases, as the windows of an evaluation do; they are not
    augmented, and their labels are not used. Weights and biases of the layers stay as they are.

    Args:
        model: the received model, on the device.
        personal: whether a tensor stays at the site.
        cases: the site's cases.
        job: the job's settings.
        site: the site's name; the draws depend on it and on the seed alone.
        device: where to compute.

    Reference:
        Li et al., "Adaptive Batch Normalization for practical domain adaptation", Pattern
        Recognition 80, 2018 (AdaBN), which takes the whole images of the target domain.
    """
    layers = _own_layers(model, personal)
    if not layers:
        return
    model.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch then takes the plain mean over batches
        layer.train()
    anywhere = replace(job.data, sampler=ForegroundSettings(share=0.0))
    for index in range(BATCHES):
        source = generator(job.training.seed, site, index, "statistics")
        batch = draw_batch(cases, anywhere, job.training.batch, source).to(device)
        with autocast(job.training, device):
            model(normalise(batch.image))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _own_layers(model: nn.Module, personal: Callable[[str], bool]) -> list[_BatchNorm]:
    return [
        layer
        for place, layer in model.named_modules()
        if isinstance(layer, _BatchNorm)
        and layer.track_running_stats
        and personal(f"{place}.running_mean")
    ]
