"""What a plan run leaves: ``plan.json``, ``fingerprint.json``, ``fingerprint.png`` and a table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedvox.config import to_mapping
from fedvox.files import write_json, write_readable_json
from fedvox.planning.fingerprint import (
    EXTENT,
    FEATURES,
    ORGAN_HU,
    SPACING,
    Fingerprint,
    quantile,
)
from fedvox.planning.plan import Plan, planned_settings
from fedvox.planning.plan_rules import WINDOW
from fedvox.report.figures.fingerprint import draw_fingerprint

Counts = Mapping[str, Mapping[str, int]]
"""Modality -> site -> contributed cases."""


def write_plan(
    folder: Path, plan: Plan, fingerprints: Mapping[str, Fingerprint], counts: Counts
) -> Path:
    """Writes the run's files and returns where the plan lies.

    Args:
        folder: the run's folder.
        plan: from :func:`fedvox.planning.plan.make_plan`.
        fingerprints: modality -> fingerprint over all sites.
        counts: contributed cases.
    """
    write_readable_json(folder / "plan.json", to_mapping(plan))
    write_json(folder / "fingerprint.json", _record(plan, fingerprints, counts))
    (folder / "fingerprint.png").write_bytes(draw_fingerprint(fingerprints, plan))
    return folder / "plan.json"


def plan_text(
    plan: Plan,
    fingerprints: Mapping[str, Fingerprint],
    counts: Counts,
    held: Sequence[str],
    path: Path,
) -> str:
    """What a plan run prints at its end.

    Args:
        plan: the plan.
        fingerprints: modality -> fingerprint over all sites.
        counts: contributed cases.
        held: modalities that sites registered.
        path: of ``plan.json``.
    """
    title = "Fingerprint of the training cases"
    title += " (phantom data, not patients)" if plan.phantom else ""
    width = max([9, *(len(modality) + 2 for modality in fingerprints)])
    lines = [
        "",
        title,
        f"{'':{width}s}{'cases':>6s}  {'median voxel size, mm':<22s}{'median extent, mm':<19s}"
        "HU of the organs, 0.5 to 99.5 %",
    ]
    for modality, own in fingerprints.items():
        cases = own.counted[SPACING[0]]
        lines.append(
            f"{modality:{width}s}{cases:6d}  {_medians(own, SPACING, 2):<22s}"
            f"{_medians(own, EXTENT, 0):<19s}{_window(own)}".rstrip()
        )
    lines += ["", *_contributors(counts, held), "", "Plan"]
    for key, value in planned_settings(plan).items():
        reason = getattr(plan.reasons, key.rpartition(".")[2])
        lines.append(f"{key:16s}{json.dumps(value):24s}{reason}")
    if plan.ct_window is None:
        lines.append(f"{'data.ct_window':16s}{'as it is':24s}{plan.reasons.ct_window}")
    lines += ["", f"plan: {path}", f"fedvox job export NAME --out submit --plan {path}", ""]
    return "\n".join(lines)


def _contributors(counts: Counts, held: Sequence[str]) -> list[str]:
    lines = []
    for modality, sites in counts.items():
        if modality not in held:
            lines.append(f"{modality}: no site holds it")
            continue
        told = [f"{site} {n}" for site, n in sorted(sites.items()) if n]
        silent = [site for site, n in sorted(sites.items()) if not n]
        lines.append(f"{modality}: cases of {', '.join(told)}" if told else f"{modality}: none")
        if silent:
            lines[-1] += f"; none, or too few to be told, of {', '.join(silent)}"
    return lines


def _medians(own: Fingerprint, features: Sequence[str], digits: int) -> str:
    values = (quantile(own.shares(name), FEATURES[name], 0.5) for name in features)
    return " x ".join(f"{value:.{digits}f}" for value in values)


def _window(own: Fingerprint) -> str:
    if not own.counted.get(ORGAN_HU):
        return ""
    low, high = (quantile(own.shares(ORGAN_HU), FEATURES[ORGAN_HU], share) for share in WINDOW)
    return f"{low:.0f} to {high:.0f}"


def _record(plan: Plan, fingerprints: Mapping[str, Fingerprint], counts: Counts) -> dict[str, Any]:
    """Everything that the server knows: per feature the filled bins by their middles."""
    return {
        "phantom": plan.phantom,
        "sites": {modality: dict(sites) for modality, sites in counts.items()},
        "modalities": {
            modality: {
                name: {
                    "cases": own.counted[name],
                    "bin_width": FEATURES[name].width,
                    "bins": _filled(name, bins),
                }
                for name, bins in own.histograms.items()
            }
            for modality, own in fingerprints.items()
        },
    }


def _filled(feature: str, bins: np.ndarray) -> list[list[float]]:
    centres = FEATURES[feature].centres
    return [[float(centres[i]), round(float(bins[i]), 6)] for i in np.flatnonzero(bins)]
