"""Scores of a case of which only a part was annotated: what nobody annotated has no say."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from fedvox.data.organs import IGNORED, mask_of, scored_structures
from fedvox.metrics import METRICS
from fedvox.metrics.case import OrganScore, score_case, union_box
from fedvox.metrics.hd95 import MAX_DIRECTED


def score_annotated(
    prediction: np.ndarray,
    reference: np.ndarray,
    organs: Sequence[str],
    annotated: Collection[str],
    spacing: tuple[float, float, float],
    nsd_tolerance_mm: float,
    hd95: str = MAX_DIRECTED,
) -> list[OrganScore]:
    """:func:`fedvox.metrics.case.score_case` on the annotated voxels alone.

    Dice counts annotated voxels. A surface that runs on into voxels that nobody annotated is not
    known: where an organ's predicted or reference mask touches them, HD95, NSD and any other metric
    of surfaces are NaN, no evidence. An organ that was missed altogether keeps its penalties.

    Args:
        prediction: label map ``(X, Y, Z)``.
        reference: label map of that shape; :data:`fedvox.data.organs.IGNORED` where nobody
            annotated.
        organs, annotated, spacing, nsd_tolerance_mm, hd95: as there.
    """
    unknown = reference == IGNORED
    seen = np.where(unknown, 0, prediction).astype(prediction.dtype)
    scores = score_case(seen, reference, organs, annotated, spacing, nsd_tolerance_mm, hd95)
    values = scored_structures(organs, annotated)
    return [
        _without_surfaces(score)
        if _is_cut(
            mask_of(seen, values[score.organ]), mask_of(reference, values[score.organ]), unknown
        )
        else score
        for score in scores
    ]


def _without_surfaces(score: OrganScore) -> OrganScore:
    """No evidence of the metrics that look at surfaces."""
    own = score.scores.items()
    return replace(score, scores={n: math.nan if METRICS[n].surface else v for n, v in own})


def _is_cut(predicted: np.ndarray, referred: np.ndarray, unknown: np.ndarray) -> bool:
    """Whether two masks, neither of them empty, touch voxels that nobody annotated."""
    from scipy import ndimage

    if not predicted.any() or not referred.any():
        return False
    box = union_box(predicted, referred, 1)
    grown = ndimage.binary_dilation(predicted[box] | referred[box])
    return bool((grown & unknown[box]).any())
