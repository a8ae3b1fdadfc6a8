"""What a site answers when it is asked to validate a model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fedvox.data.site.site_data import SiteData
from fedvox.inference.evaluate import score_cases, validate
from fedvox.job.settings import JobSettings
from fedvox.metrics.summary import reduce_rows
from fedvox.metrics.table import PHANTOM_CODE, to_dict


def evaluation_report(
    model: nn.Module, name: str, site: SiteData, job: JobSettings, device: torch.device
) -> Mapping[str, Any]:
    """Scores a model on the site's cases, in the detail that the site shares.

    Args:
        model: the model, on the device.
        name: as it shall stand in tables.
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
        for split, cases in (("val", site.val), ("test", site.test))
        for row in score_cases(model, name, cases, job, site.name, split, device)
    ]
    # An image that the site lists twice has one code; its structures are scored once.
    rows = list({(r.split, r.modality, r.case, r.organ): r for r in rows}.values())
    if site.phantom:
        rows = [replace(row, case=PHANTOM_CODE + row.case) for row in rows]
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
