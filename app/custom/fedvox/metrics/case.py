"""One case's segmentation against its reference: every metric per organ.

Example:
    >>> reference = np.zeros((20, 20, 20), np.uint8)
    >>> reference[5:15, 5:15, 5:15] = 1
    >>> shifted = np.roll(reference, 1, axis=2)  # by one slice of 2 mm
    >>> organs = ("liver", "spleen")
    >>> (liver,) = score_case(shifted, reference, organs, {"liver"}, (1.0, 1.0, 2.0))
    >>> liver.organ, {name: round(score, 3) for name, score in liver.scores.items()}
    ('liver', {'dice': 0.9, 'hd95': 2.0, 'nsd': 1.0})

    A missed organ costs the whole diagonal; one that is in neither map has no score.

    >>> liver, spleen = score_case(0 * reference, reference, organs, set(organs), (1, 1, 1))
    >>> liver.dice, round(liver.scores["hd95"], 1), spleen.dice
    (0.0, 34.6, nan)
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fedvox.data.organs import mask_of, scored_structures
from fedvox.errors import DataError
from fedvox.metrics import MAIN, METRICS
from fedvox.metrics.hd95 import MAX_DIRECTED
from fedvox.metrics.metric import NSD_TOLERANCE_MM, Masks

_MARGIN = 2
"""Voxels kept around an organ; its surface is then the same as in the whole image."""


@dataclass(frozen=True)
class OrganScore:
    """How well one organ of one case was segmented.

    Attributes:
        organ: canonical name, or a region's.
        scores: metric of :data:`fedvox.metrics.METRICS` -> value, NaN for no evidence.
        gt_voxels: voxels of the organ in the reference.
    """

    organ: str
    scores: Mapping[str, float]
    gt_voxels: int

    @property
    def dice(self) -> float:
        """Dice, 0 to 1, or NaN."""
        return self.scores[MAIN]


def score_case(
    prediction: np.ndarray | torch.Tensor,
    reference: np.ndarray | torch.Tensor,
    organs: Sequence[str],
    annotated: Collection[str],
    spacing: tuple[float, float, float],
    nsd_tolerance_mm: float = NSD_TOLERANCE_MM,
    hd95: str = MAX_DIRECTED,
) -> list[OrganScore]:
    """Scores every annotated organ of one case, and every region that unites annotated ones.

    Where a mask is empty a metric has the value that its entry in :data:`fedvox.metrics.METRICS`
    states (``missed``, ``invented``); where both are, it is NaN. NaN means no evidence and is left
    out of means. HD95 of a missed organ is the whole image diagonal, so that a model cannot improve
    its mean by leaving difficult organs out.

    Where a case annotates an organ but not a part of it that the job trains (a liver without its
    tumours), what was predicted as that part counts as the organ.

    Args:
        prediction: label map, shape ``(X, Y, Z)``; organ i of ``organs`` has the value i + 1.
        reference: label map of the same shape and coding.
        organs: the job's canonical organ names, in label order.
        annotated: organs that the site annotates; the others get no score.
        spacing: voxel size along x, y and z in mm.
        nsd_tolerance_mm: surface distance in mm up to which NSD counts a surface voxel as right.
            Below every edge of the voxels only those that coincide count; along a larger edge
            one slice of error is already wrong.
        hd95: a convention of :data:`fedvox.metrics.hd95.HD95`.

    Returns:
        One score per annotated organ, in the order of ``organs``, then one per region
        (:data:`fedvox.data.organs.REGIONS`) whose structures are all trained and annotated.

    Raises:
        DataError: the two maps are not 3D or differ in shape.
        ConfigError: there is no such convention of HD95.
    """
    predicted, referred = _as_labels(prediction), _as_labels(reference)
    if predicted.shape != referred.shape or predicted.ndim != 3:
        raise DataError(
            f"cannot score a prediction of shape {predicted.shape} against a reference of shape "
            f"{referred.shape}; both must be 3D on the same grid"
        )
    diagonal = math.dist(
        (0.0, 0.0, 0.0), [n * s for n, s in zip(referred.shape, spacing, strict=True)]
    )
    how = {"spacing": spacing, "nsd_tolerance_mm": nsd_tolerance_mm, "hd95": hd95}
    return [
        _score_organ(organ, mask_of(predicted, own), mask_of(referred, own), how, diagonal)
        for organ, own in scored_structures(organs, annotated).items()
    ]


def union_box(first: np.ndarray, second: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """The smallest box that holds both masks, widened by a margin and cut at the image border.

    Args:
        first: boolean mask, shape ``(X, Y, Z)``.
        second: boolean mask of the same shape; at least one of the two is not empty.
        margin: voxels added on each side.
    """
    union = first | second
    slices = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(union.any(axis=others))
        slices.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + margin + 1))
    return slices[0], slices[1], slices[2]


def _as_labels(values: np.ndarray | torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _score_organ(
    organ: str,
    predicted: np.ndarray,
    referred: np.ndarray,
    how: Mapping[str, Any],
    diagonal: float,
) -> OrganScore:
    """The metrics of one organ; ``how`` holds what :class:`Masks` needs beside the masks."""
    voxels, found = int(referred.sum()), bool(predicted.any())
    if not voxels:
        scores = {name: metric.invented if found else math.nan for name, metric in METRICS.items()}
    elif not found:
        scores = {name: metric.without_prediction(diagonal) for name, metric in METRICS.items()}
    else:
        box = union_box(predicted, referred, _MARGIN)
        masks = Masks(predicted[box], referred[box], **how)
        scores = {name: metric.measure(masks) for name, metric in METRICS.items()}
    return OrganScore(organ, scores, voxels)
