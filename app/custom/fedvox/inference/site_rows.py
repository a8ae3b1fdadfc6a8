"""A model's rows at one site: the one way from a site's cases to lines of ``metrics.csv``."""

from dataclasses import replace

import torch
from torch import nn

from fedvox.data.site.site_data import SiteData
from fedvox.inference.evaluate import score_cases
from fedvox.job.settings import JobSettings
from fedvox.metrics.summary import TEST_SPLIT
from fedvox.metrics.table import PHANTOM_CODE, MetricRow


def site_rows(
    model: nn.Module,
    name: str,
    site: SiteData,
    job: JobSettings,
    split: str,
    device: torch.device,
    progress: bool = False,
    subsets: bool = True,
) -> list[MetricRow]:
    """Every metric of every case of a part, on the scanner's own grid.

    An image that the site lists twice has one code; its structures stand in the table once. Codes
    of phantoms are marked as such. A modality subset of a case is a line of its own.

    Args:
        model: the model, on the device.
        name: as it shall stand in the table.
        site: the site's cases.
        job: the job's settings.
        split: ``test``, ``val`` or ``train``.
        device: where to compute.
        progress: shows a progress bar on a terminal.
        subsets: False scores test cases with all that they have, also where the job's
            ``evaluation.subsets`` asks for every subset.
    """
    from tqdm import tqdm

    cases = {"train": site.train, "val": site.val, "test": site.test}[split]
    shown = tqdm(cases, desc="scoring", unit="case", disable=None if progress else True)
    dropping = subsets and split == TEST_SPLIT and job.evaluation.subsets
    found = score_cases(model, name, shown, job, site.name, split, device, dropping)
    rows = list({(row.modality, row.case, row.organ): row for row in found}.values())
    if site.phantom:
        rows = [replace(row, case=PHANTOM_CODE + row.case) for row in rows]
    return rows
