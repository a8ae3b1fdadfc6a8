"""Scoring a model on a site's cases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fedvox.data.cases.in_work import working_on
from fedvox.data.cases.prepared import PreparedCase
from fedvox.data.grid.to_grid import restore_slabs
from fedvox.data.organs import IGNORED, REGIONS, mask_of, scored_structures
from fedvox.inference.sliding import predict_scores, predict_slabs
from fedvox.inference.subsets import subset_images
from fedvox.job.settings import JobSettings
from fedvox.metrics.annotated import score_annotated
from fedvox.metrics.case import score_case
from fedvox.metrics.table import MetricRow


@dataclass(frozen=True)
class Validation:
    """Mean Dice of one modality's validation cases at one site.

    Attributes:
        dice: mean over cases of the mean over annotated organs, on the job's grid.
        cases: number of cases behind it.
    """

    dice: float
    cases: int


def validate(
    model: nn.Module, cases: Sequence[PreparedCase], job: JobSettings, device: torch.device
) -> dict[str, Validation]:
    """Quick Dice on the job's grid, per modality, for choosing the best model.

    Organs absent from a case's labels do not count in that case.
    """
    found: dict[str, list[float]] = {}
    for case in cases:
        with working_on(case.path):
            scores = predict_scores(model, case.tensor("image"), job, device)
            dice = mean_dice(scores.argmax(0), case, job.data.organs)
        if not np.isnan(dice):
            found.setdefault(case.modality, []).append(dice)
    return {name: Validation(float(np.mean(d)), len(d)) for name, d in sorted(found.items())}


def mean_dice(prediction: torch.Tensor, case: PreparedCase, organs: Sequence[str]) -> float:
    """Mean Dice over the organs present in a case, on the job's grid; NaN when there is none.

    Voxels that nobody annotated do not count. Regions are left out: they unite organs that count
    already.

    Args:
        prediction: ``(X, Y, Z)`` integers on the job's grid.
        case: the prepared case.
        organs: the job's organs.
    """
    label = case.tensor("label")
    if case.ignores:
        prediction = prediction.masked_fill(label == IGNORED, 0)
    values = []
    for organ, own in scored_structures(organs, case.annotated).items():
        if organ not in REGIONS and case.counts[own[0] - 1]:
            truth, found = mask_of(label, own), mask_of(prediction, own)
            overlap = float((truth & found).sum())
            values.append(2 * overlap / float(truth.sum() + found.sum()))
    return float(np.mean(values)) if values else float("nan")


def score_cases(
    model: nn.Module,
    model_name: str,
    cases: Iterable[PreparedCase],
    job: JobSettings,
    site: str,
    split: str,
    device: torch.device,
    subsets: bool = False,
) -> list[MetricRow]:
    """Every metric of every case on the scanner's own grid.

    Args:
        model: the model to score.
        model_name: as it shall stand in the table.
        cases: prepared cases.
        job: the job's settings.
        site: the site's name.
        split: ``val`` or ``test``.
        device: where to compute.
        subsets: scores a case once for every subset of the modalities that it has, the complete
            set first; the column ``modality`` names the subset.
    """
    rows: list[MetricRow] = []
    for case in cases:
        with working_on(case.path):
            rows += _score_case(model, model_name, case, job, site, split, device, subsets)
    return rows


def _score_case(
    model: nn.Module,
    model_name: str,
    case: PreparedCase,
    job: JobSettings,
    site: str,
    split: str,
    device: torch.device,
    subsets: bool,
) -> list[MetricRow]:
    """Every metric of one case, see :func:`score_cases`."""
    rows: list[MetricRow] = []
    reference = case.tensor("stored_label").numpy()
    scorer = score_annotated if case.ignores else score_case
    for modality, image in subset_images(case, job.data.channels if subsets else ()):
        scores = scorer(
            predict_labels(model, case, job, device, image),
            reference,
            job.data.organs,
            case.annotated,
            case.stored_spacing,
            job.evaluation.nsd_tolerance_mm,
            job.evaluation.hd95,
        )
        rows += [
            MetricRow(
                model=model_name,
                site=site,
                split=split,
                modality=modality,
                case=case.code,
                organ=score.organ,
                scores=score.scores,
                gt_voxels=score.gt_voxels,
            )
            for score in scores
        ]
    return rows


def coarse_cases(cases: Sequence[PreparedCase], tolerance_mm: float) -> int:
    """Cases with every voxel edge above NSD's tolerance: only coinciding voxels count there.

    Args:
        cases: prepared cases.
        tolerance_mm: ``evaluation.nsd_tolerance_mm`` of the job.
    """
    return sum(min(case.stored_spacing) > tolerance_mm for case in cases)


def predict_labels(
    model: nn.Module,
    case: PreparedCase,
    job: JobSettings,
    device: torch.device,
    image: torch.Tensor | None = None,
) -> np.ndarray:
    """Predicted labels on the scanner's grid, uint8.

    Args:
        model: the model.
        case: the prepared case.
        job: the job's settings.
        device: where to compute.
        image: ``(C, X, Y, Z)`` in place of the case's own, on the same grid.
    """
    seen = case.tensor("image") if image is None else image
    return restore_slabs(predict_slabs(model, seen, job, device), case.geometry)
