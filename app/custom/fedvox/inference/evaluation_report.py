"""What a site answers when it is asked to validate a model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fedvox.data.site.site_data import SiteData
from fedvox.inference.evaluate import validate
from fedvox.inference.site_rows import site_rows
from fedvox.job.settings import JobSettings
from fedvox.metrics.models import GLOBAL
from fedvox.metrics.summary import reduce_rows
from fedvox.metrics.table import to_dict


def evaluation_report(
    model: nn.Module, name: str, site: SiteData, job: JobSettings, device: torch.device
) -> Mapping[str, Any]:
    """Scores a model on the site's cases, in the detail that the site shares.

    Args:
        model: the model, on the device.
        name: as it shall stand in tables; a site's own model is never scored on subsets.
        site: the site's cases.
        job: the job's settings.
        device: where to compute.

    Returns:
        ``validation`` (modality -> [mean Dice, cases], for choosing the best model), and ``rows``
        (one per case and organ) or, where the site shares summaries only, ``shared``.
    """
    found = validate(model, site.val, job, device)
    rows = [
        row
        for split in ("val", "test")
        for row in site_rows(model, name, site, job, split, device, subsets=name in GLOBAL)
    ]
    report: dict[str, Any] = {
        "validation": {m: [score.dice, score.cases] for m, score in found.items()},
        "rows": [],
        "shared": [],
    }
    if site.share == "cases":
        report["rows"] = [to_dict(row) for row in rows]
    else:
        report["shared"] = [to_dict(row) for row in reduce_rows(rows)]
    return report
