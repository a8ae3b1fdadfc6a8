"""What fingerprints say of spacing, patch and CT window.

Reference:
    Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", Nature Methods 2021, rule-based parameters. Differences: modalities weigh the
    same however many cases they have; an axis counts as anisotropic by its spacing alone; the
    longest axis shrinks first; the smallest site's memory decides; the network is the job's.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from fedvox.planning.fingerprint import EXTENT, FEATURES, ORGAN_HU, SPACING, Fingerprint, quantile

ANISOTROPIC = 3.0
"""An axis with more than this times the spacing of the others gets its 10th percentile."""
LARGEST_EDGE = 512
WINDOW = (0.005, 0.995)

Triple = tuple[int, int, int]


def plan_spacing(
    fingerprints: Mapping[str, Fingerprint],
) -> tuple[tuple[float, float, float], str]:
    """Median voxel size per axis; the 10th percentile along a much coarser axis.

    Returns:
        Spacing in mm along right, anterior, superior, and the reason.
    """
    shares = [pooled(fingerprints, name) for name in SPACING]
    target = [quantile(own, FEATURES[name], 0.5) for own, name in zip(shares, SPACING)]
    cases = sum(own.counted[SPACING[0]] for own in fingerprints.values())
    reason = f"median of {cases} cases"
    if len(fingerprints) > 1:
        reason += f", {', '.join(sorted(fingerprints))} weighted equally"
    axis = int(np.argmax(target))
    others = max(value for index, value in enumerate(target) if index != axis)
    if target[axis] > ANISOTROPIC * others:
        fine = quantile(shares[axis], FEATURES[SPACING[axis]], 0.1)
        target[axis] = max(fine, others)
        name = ("right", "anterior", "superior")[axis]
        reason += f"; 10th percentile along {name}, which is much coarser"
    x, y, z = (max(0.1, value) for value in target)
    return (x, y, z), reason


def median_patch(
    fingerprints: Mapping[str, Fingerprint], spacing: tuple[float, ...], multiple: int
) -> Triple:
    """The smallest allowed patch that covers the median case, up to 512 voxels an edge.

    The deepest level of the network needs more than one voxel to normalise over, so at least one
    edge is twice the multiple.
    """
    edges = []
    for name, size in zip(EXTENT, spacing):
        voxels = quantile(pooled(fingerprints, name), FEATURES[name], 0.5) / size
        steps = max(1, math.ceil(voxels / multiple - 1e-9))
        edges.append(multiple * min(steps, LARGEST_EDGE // multiple))
    if max(edges) == multiple:
        edges[0] = 2 * multiple
    return _triple(edges)


def shrink(whole: Triple, multiple: int, fits: Callable[[int], bool]) -> Triple | None:
    """Shortens the longest edge by one multiple until the patch fits; None if it never does.

    Args:
        whole: the largest patch wanted, edges multiples of ``multiple``.
        multiple: what edges are multiples of.
        fits: whether a number of voxels does.
    """
    edges = list(whole)
    while not fits(math.prod(edges)):
        axis = edges.index(max(edges))
        edges[axis] -= multiple
        if max(edges) <= multiple:
            return None
    return _triple(edges)


def plan_window(
    fingerprints: Mapping[str, Fingerprint],
) -> tuple[tuple[float, float] | None, str]:
    """Percentiles 0.5 and 99.5 of the HU inside the job's organs, over all cases that hold a CT."""
    told = [own for own in fingerprints.values() if own.counted.get(ORGAN_HU)]
    if not told:
        return None, "no site contributed CT with organs: the job's own window stays"
    bins = FEATURES[ORGAN_HU]
    found = np.sum([own.histograms[ORGAN_HU] for own in told], axis=0)
    rising = np.concatenate([[0.0], np.cumsum(found / found.sum())])
    low, high = (float(np.round(np.interp(share, rising, bins.edges))) for share in WINDOW)
    cases = sum(own.counted[ORGAN_HU] for own in told)
    reason = f"0.5th and 99.5th percentile inside the organs of {cases} CT cases"
    return (low, max(high, low + bins.width)), reason


def pooled(fingerprints: Mapping[str, Fingerprint], feature: str) -> np.ndarray:
    """Shares per bin over the modalities, each of the same weight."""
    return np.asarray(np.mean([own.shares(feature) for own in fingerprints.values()], axis=0))


def _triple(edges: list[int]) -> Triple:
    x, y, z = edges
    return x, y, z
