"""Spacing, patch, batch and CT window of a job, from fingerprints and from free memory.

Reference:
    Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", Nature Methods 2021, rule-based parameters. Differences: modalities weigh the
    same however many cases they have; an axis counts as anisotropic by its spacing alone; the
    longest axis shrinks first; the smallest site's memory decides; the network is the job's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.config import build, read_json, setting
from fedvox.data.fingerprint import EXTENT, FEATURES, ORGAN_HU, SPACING, Fingerprint, quantile
from fedvox.data.organs import MODALITIES
from fedvox.errors import ConfigError
from fedvox.memory import GIB
from fedvox.networks import patch_multiple
from fedvox.networks.settings import NetworkSettings
from fedvox.training.settings import JobSettings
from fedvox.training.step_memory import StepMemory

ANISOTROPIC = 3.0
"""An axis with more than this times the spacing of the others gets its 10th percentile."""
LEAST_BATCH = 2
LARGEST_BATCH = 256
SMALLEST_EDGE, LARGEST_EDGE = 8, 512
CPU_VOXELS = 96**3
"""Of a patch where no site has a GPU: with more, a step takes minutes."""
USABLE = 0.75
"""Share of the free memory that a step may take; the rest is for images on their way to it."""
BATCH_SHARE = 0.05
"""A batch holds at most this share of the training cases."""
WINDOW = (0.005, 0.995)

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class PlanReasons:
    """Why each value of a plan is what it is, in words."""

    spacing: str
    patch: str
    batch: str
    ct_window: str


@dataclass(frozen=True)
class Plan:
    """What the data say a job should use; the content of ``plan.json``.

    Attributes:
        organs, network: of the job that the plan was made for.
        modalities: those that sites contributed.
        spacing: ``data.spacing`` in mm.
        patch: ``data.patch`` in voxels.
        batch: ``training.batch``.
        reasons: one line per value.
        ct_window: ``data.ct_window`` in HU; None leaves the job's as it is.
        phantom: True when a site used phantoms.
    """

    organs: tuple[str, ...]
    network: NetworkSettings
    modalities: tuple[str, ...] = setting(choices=MODALITIES)
    spacing: tuple[float, float, float] = setting(low=0.1, high=20.0)
    patch: tuple[int, int, int] = setting(low=SMALLEST_EDGE, high=LARGEST_EDGE)
    batch: int = setting(low=1, high=LARGEST_BATCH)
    reasons: PlanReasons = setting()
    ct_window: tuple[float, float] | None = setting(None, low=-2000.0, high=4000.0)
    phantom: bool = False


@dataclass(frozen=True)
class Memory:
    """The memory that decides.

    Attributes:
        bytes: free for one site's process.
        site: whose it is.
        gpu: whether any site has a GPU.
        sharing: sites that share the machine; above 1 in a simulator only.
    """

    bytes: float
    site: str
    gpu: bool
    sharing: int = 1

    def words(self) -> str:
        """The number and where it was measured."""
        shared = f", shared by {self.sharing} sites" if self.sharing > 1 else ""
        return f"{self.bytes / GIB:.1f} GiB free at {self.site}{shared}"


def make_plan(
    fingerprints: Mapping[str, Fingerprint],
    job: JobSettings,
    memory: Memory,
    step: StepMemory,
    phantom: bool = False,
) -> Plan:
    """Applies the rules.

    Args:
        fingerprints: modality -> its cases over all sites; at least one.
        job: organs, network and loss.
        memory: of the smallest site.
        step: what a step of the job's network takes.
        phantom: whether a site used phantoms.

    Raises:
        ConfigError: not even the smallest patch fits.
    """
    spacing, spacing_reason = plan_spacing(fingerprints)
    multiple = max(SMALLEST_EDGE, patch_multiple(job.network))  # both are powers of two
    whole = median_patch(fingerprints, spacing, multiple)
    most = CPU_VOXELS if not memory.gpu else LARGEST_EDGE**3

    def fits(voxels: int, batch: int = LEAST_BATCH) -> bool:
        room = step.bytes(voxels * batch) <= USABLE * memory.bytes
        return room and voxels * batch <= most * LEAST_BATCH

    patch = shrink(whole, multiple, fits)
    if patch is None:
        raise ConfigError(
            f"no patch fits: {memory.words()}; take a network with fewer 'network.channels', or "
            "leave the site out"
        )
    voxels = math.prod(patch)
    cases = sum(own.counted[SPACING[0]] for own in fingerprints.values())
    batch = LEAST_BATCH
    most_batch = min(LARGEST_BATCH, int(BATCH_SHARE * cases)) if patch == whole else 0
    while batch < most_batch and fits(voxels, batch + 1):
        batch += 1
    window, window_reason = plan_window(fingerprints)
    reasons = PlanReasons(
        spacing=spacing_reason,
        patch=_patch_reason(patch, whole, memory, step),
        batch=_batch_reason(patch == whole, batch, cases),
        ct_window=window_reason,
    )
    return Plan(
        organs=job.data.organs,
        network=job.network,
        modalities=tuple(sorted(fingerprints)),
        spacing=spacing,
        patch=patch,
        batch=batch,
        reasons=reasons,
        ct_window=window,
        phantom=phantom,
    )


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
    """Percentiles 0.5 and 99.5 of the HU inside the job's organs."""
    own = fingerprints.get("ct")
    if own is None or not own.counted.get(ORGAN_HU):
        return None, "no site contributed CT with organs: the job's own window stays"
    bins = FEATURES[ORGAN_HU]
    rising = np.concatenate([[0.0], np.cumsum(own.shares(ORGAN_HU))])
    low, high = (float(np.round(np.interp(share, rising, bins.edges))) for share in WINDOW)
    reason = f"0.5th and 99.5th percentile inside the organs of {own.counted[ORGAN_HU]} CT cases"
    return (low, max(high, low + bins.width)), reason


def pooled(fingerprints: Mapping[str, Fingerprint], feature: str) -> np.ndarray:
    """Shares per bin over the modalities, each of the same weight."""
    return np.asarray(np.mean([own.shares(feature) for own in fingerprints.values()], axis=0))


def read_plan(path: Path) -> Plan:
    """Reads ``plan.json``.

    Raises:
        ConfigError: names the key, the file and the allowed values.
    """
    return build(Plan, read_json(path), str(path))


def planned_settings(plan: Plan) -> dict[str, Any]:
    """The settings of ``training.json`` that a plan sets, by their dotted keys."""
    values: dict[str, Any] = {
        "data.spacing": list(plan.spacing),
        "data.patch": list(plan.patch),
        "training.batch": plan.batch,
    }
    if plan.ct_window is not None:
        values["data.ct_window"] = list(plan.ct_window)
    return values


def _patch_reason(patch: Triple, whole: Triple, memory: Memory, step: StepMemory) -> str:
    if patch == whole:
        return "covers the median case"
    need = step.bytes(LEAST_BATCH * math.prod(patch)) / GIB
    if not memory.gpu and step.bytes(LEAST_BATCH * CPU_VOXELS) <= USABLE * memory.bytes:
        return (
            "no site has a GPU: at most 96 x 96 x 96 voxels, more would take minutes per step "
            f"(the median case needs {'x'.join(map(str, whole))})"
        )
    return (
        f"the largest whose step fits: it takes about {need:.1f} GiB, {memory.words()} "
        f"(the median case needs {'x'.join(map(str, whole))})"
    )


def _batch_reason(covered: bool, batch: int, cases: int) -> str:
    if batch > LEAST_BATCH:
        return f"the patch covers the median case, so memory and {cases} cases allow more than 2"
    if covered:
        return f"the least; memory, processor or {cases} cases allow no more"
    return "the least, so that the patch can be larger"


def _triple(edges: list[int]) -> Triple:
    x, y, z = edges
    return x, y, z
