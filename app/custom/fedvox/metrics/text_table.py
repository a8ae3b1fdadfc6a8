"""The Dice table of a run as text for a terminal."""

import math
from collections.abc import Sequence

from fedvox.metrics.table import MEAN_ORGAN, SummaryRow

_HEADINGS = {  # in the order in which a radiologist reads an abdomen, then brain, heart, tumours
    "liver": "liver",
    "spleen": "spleen",
    "kidney_right": "kidn.R",
    "kidney_left": "kidn.L",
    "pancreas": "pancr.",
    "gallbladder": "gallb.",
    "stomach": "stom.",
    "oesophagus": "oesoph.",
    "aorta": "aorta",
    "inferior_vena_cava": "IVC",
    "adrenal_right": "adr.R",
    "adrenal_left": "adr.L",
    "duodenum": "duod.",
    "bladder": "bladder",
    "prostate_uterus": "prost/ut",
    "hippocampus_anterior": "hipp.ant",
    "hippocampus_posterior": "hipp.post",
    "heart_left_ventricle": "LV",
    "heart_right_ventricle": "RV",
    "heart_left_atrium": "LA",
    "heart_right_atrium": "RA",
    "heart_myocardium": "myoc.",
    "ascending_aorta": "asc.ao.",
    "pulmonary_artery": "pulm.a.",
    "tumour_necrotic": "necr.",
    "tumour_oedema": "oedema",
    "tumour_enhancing": "enh.",
    "resection_cavity": "cavity",
    "liver_tumour": "liv.tum.",
    "tumour_whole": "whole",
    "tumour_core": "core",
}


def format_table(summary: Sequence[SummaryRow], phantom: bool = False) -> str:
    """The plain-text Dice table that a run prints at its end.

    Args:
        summary: rows of :func:`summarise`.
        phantom: whether the cases are phantoms; the title then says so.

    Returns:
        Lines without a final newline: a title, a heading, one line per model and modality.
    """
    cells = {(row.model, row.modality, row.organ): row for row in summary}
    organs = sorted({row.organ for row in summary} - {MEAN_ORGAN}, key=_heading_order)
    headings = ["model", "modality", "cases", *(_HEADINGS.get(organ, organ) for organ in organs)]
    lines = [[*headings, "mean [95% interval]"]]
    for model, modality in sorted({(row.model, row.modality) for row in summary}):
        mean = cells.get((model, modality, MEAN_ORGAN))
        rows = (cells.get((model, modality, organ)) for organ in organs)
        dice = [_digits(row.dice_mean) if row else "-" for row in rows]
        lines.append([model, modality, str(mean.cases if mean else 0), *dice, _interval(mean)])
    data = "phantom data, not patients; test cases" if phantom else "test cases"
    return "\n".join([f"Dice ({data})", *_align(lines)])


def _heading_order(organ: str) -> tuple[int, str]:
    known = list(_HEADINGS)
    return (known.index(organ) if organ in known else len(known)), organ


def _digits(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(row: SummaryRow | None) -> str:
    if row is None or math.isnan(row.dice_mean):
        return "-"
    if row.cases < 2:  # one case has no spread, so its interval would only look certain
        return f"{row.dice_mean:.3f}"
    return f"{row.dice_mean:.3f} [{row.dice_low:.3f}, {row.dice_high:.3f}]"


def _align(lines: Sequence[Sequence[str]]) -> list[str]:
    """Pads the columns: names to the left, numbers to the right, under a rule."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for line in lines:
        cells = [
            cell.ljust(width) if index in (0, 1, len(widths) - 1) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        aligned.append("  ".join(cells).rstrip())
    return [aligned[0], "  ".join("-" * width for width in widths), *aligned[1:]]
