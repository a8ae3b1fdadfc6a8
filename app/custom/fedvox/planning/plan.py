"""Spacing, patch, batch and CT window of a job, from fingerprints and from free memory.

The rules stand in :mod:`fedvox.planning.plan_rules`; here memory decides between them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.config import build, read_json, setting
from fedvox.data.organs import MODALITIES, check_organs
from fedvox.errors import ConfigError
from fedvox.job.settings import JobSettings
from fedvox.memory import GIB
from fedvox.networks import NETWORKS
from fedvox.networks.settings import NetworkSettings
from fedvox.planning.fingerprint import SPACING, Fingerprint
from fedvox.planning.plan_rules import (
    LARGEST_EDGE,
    Triple,
    median_patch,
    plan_spacing,
    plan_window,
    shrink,
)
from fedvox.planning.step_memory import StepMemory
from fedvox.privacy.forms import modality_set

LEAST_BATCH = 2
LARGEST_BATCH = 256
SMALLEST_EDGE = 8
CPU_VOXELS = 96**3
"""Of a patch where no site has a GPU: with more, a step takes minutes."""
USABLE = 0.75
"""Share of the free memory that a step may take; the rest is for images on their way to it."""
BATCH_SHARE = 0.05
"""A batch holds at most this share of the training cases."""


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
        modalities: modality sets that sites contributed, e.g. ``ct`` or ``t1+flair``.
        spacing: ``data.spacing`` in mm.
        patch: ``data.patch`` in voxels.
        batch: ``training.batch``.
        reasons: one line per value.
        ct_window: ``data.ct_window`` in HU; None leaves the job's as it is.
        phantom: True when a site used phantoms.
    """

    organs: tuple[str, ...]
    network: NetworkSettings = setting(registry=NETWORKS)
    modalities: tuple[str, ...] = setting()
    spacing: tuple[float, float, float] = setting(low=0.1, high=20.0)
    patch: tuple[int, int, int] = setting(low=SMALLEST_EDGE, high=LARGEST_EDGE)
    batch: int = setting(low=1, high=LARGEST_BATCH)
    reasons: PlanReasons = setting()
    ct_window: tuple[float, float] | None = setting(None, low=-2000.0, high=4000.0)
    phantom: bool = False

    def __post_init__(self) -> None:
        """Refuses organs and modalities that no job can have."""
        check_organs(self.organs)
        unknown = [name for name in self.modalities if not modality_set(MODALITIES)(name)]
        if unknown:
            raise ConfigError(
                f"'modalities' holds {unknown[0]!r:.40}; allowed: {', '.join(MODALITIES)}, or "
                "several channels joined by +"
            )


@dataclass(frozen=True)
class FreeMemory:
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
    memory: FreeMemory,
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
    multiple = max(SMALLEST_EDGE, job.network.patch_multiple)  # both are powers of two
    whole = median_patch(fingerprints, spacing, multiple)
    most = CPU_VOXELS if not memory.gpu else LARGEST_EDGE**3

    def fits(voxels: int, batch: int = LEAST_BATCH) -> bool:
        room = step.bytes(voxels * batch) <= USABLE * memory.bytes
        return room and voxels * batch <= most * LEAST_BATCH

    patch = shrink(whole, multiple, fits)
    if patch is None:
        raise ConfigError(
            f"no patch fits: {memory.words()}; take a network with smaller {job.network.width}, "
            "or leave the site out"
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


def _patch_reason(patch: Triple, whole: Triple, memory: FreeMemory, step: StepMemory) -> str:
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
