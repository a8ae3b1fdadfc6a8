"""A global model that is the best and the last one is scored once."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fedvox.data.site.site_data import SiteData
from fedvox.files import PRIVATE, write_json
from fedvox.inference.evaluation_report import evaluation_report
from fedvox.job.settings import JobSettings
from fedvox.job.weights import weights_of
from fedvox.metrics.models import GLOBAL
from fedvox.tensors import weights_hash

EVALUATED = "evaluated.json"
logger = logging.getLogger(__name__)


def scored_once(
    model: nn.Module,
    name: str,
    site: SiteData,
    job: JobSettings,
    device: torch.device,
    state: Path,
) -> Mapping[str, Any]:
    """As :func:`evaluation_report`; what was scored just before under another name is not again.

    Args:
        model: the model, on the device, with the site's own tensors.
        name: as it shall stand in tables; a site's own model is always scored.
        site: the site's cases.
        job: the job's settings.
        device: where to compute.
        state: the site's state folder of this run, which keeps the last answer.
    """
    if name not in GLOBAL:
        return evaluation_report(model, name, site, job, device)
    path, about = state / EVALUATED, _about(model, site, job)
    kept = _read(path)
    if kept.get("about") == about:
        report = kept["report"]
        rows = {key: [{**row, "model": name} for row in report[key]] for key in ("rows", "shared")}
        return {**report, **rows}
    answer = evaluation_report(model, name, site, job, device)
    try:
        write_json(path, {"about": about, "report": dict(answer)}, PRIVATE)
    except OSError as error:  # it saves time only; the answer is there
        logger.warning("the scores are not kept for the next model (%s)", type(error).__name__)
    return answer


def _about(model: nn.Module, site: SiteData, job: JobSettings) -> list[str]:
    """What an answer depends on; a site may change its cases between a run and its clone.

    The name of a prepared case depends on its images, its labels and how they were prepared.
    """
    parts = {"val": site.val, "test": site.test}
    cases = [f"{part} {case.path.name}" for part, own in parts.items() for case in own]
    return [weights_hash(weights_of(model)), site.share, repr(job.evaluation), *cases]


def _read(path: Path) -> dict[str, Any]:
    """The last answer; what a kill left half written is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
