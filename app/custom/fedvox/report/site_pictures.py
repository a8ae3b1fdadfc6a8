"""Overlays of a site's own test cases; they stay at the site."""

from pathlib import Path

import torch
from torch import nn

from fedvox.data.organs import IGNORED
from fedvox.data.site.site_data import SiteData
from fedvox.inference.sliding import predict_scores
from fedvox.job.settings import JobSettings
from fedvox.report.figures.overlay import draw_overlay


def draw_site_pictures(
    model: nn.Module,
    name: str,
    site: SiteData,
    job: JobSettings,
    device: torch.device,
    folder: Path,
) -> list[Path]:
    """Draws the model's prediction over the first test cases.

    Args:
        model: the model, on the device.
        name: as it stands in tables.
        site: the site's cases.
        job: number of overlays, organs and window.
        device: where to compute.
        folder: where the pictures go.

    Returns:
        The written files, ``overlay_<model>_<site>_<number>.png``.
    """
    paths = []
    kind = "phantom " if site.phantom else ""
    for number, case in enumerate(site.test[: job.evaluation.overlays], start=1):
        image = case.tensor("image")
        labels = predict_scores(model, image, job, device).argmax(0)
        reference = case.tensor("label")
        if case.ignores:  # no outline there: nobody drew one
            reference = reference.masked_fill(reference == IGNORED, 0)
        first = case.present.index(True)  # a missing channel would be a black picture
        shown = f" ({job.data.channels[first].upper()} shown)" if job.data.channels else ""
        path = folder / f"overlay_{name}_{site.name}_{number}.png"
        draw_overlay(
            image[first].numpy(),
            labels.numpy(),
            reference.numpy(),
            job.data.organs,
            case.geometry.spacing,
            path,
            f"{name} on {kind}{case.modality.upper()}{shown} test case of {site.name}",
        )
        paths.append(path)
    return paths
