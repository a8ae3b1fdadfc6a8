"""The Dice table of a run as text for a terminal."""

import math
from collections.abc import Collection, Sequence

from fedvox.cells import printable
from fedvox.data.structures import STRUCTURES
from fedvox.metrics import other_metrics
from fedvox.metrics.interval import FEWEST, gap_text
from fedvox.metrics.metric import Metric
from fedvox.metrics.models import (
    BEST,
    LAST,
    model_notes,
    model_title,
    ordered_models,
    shown_rows,
)
from fedvox.metrics.site_table import (
    EXTERNAL_NOTE,
    SiteLine,
    site_lines,
    site_models,
    site_title,
    worst_line,
)
from fedvox.metrics.subsets import SubsetScores, ordered_subsets, subset_scores, worst_site
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN, SummaryRow

_MOST_COLUMNS = 8
"""Models that the table by site has room for on a terminal."""
_MOST_LETTERS = 120
"""Letters that their names may fill there; a site's name has up to 64."""

_HEADINGS = {structure.name: structure.heading for structure in STRUCTURES}
_HEADINGS |= {"tumour_whole": "whole", "tumour_core": "core"}


def format_table(
    summary: Sequence[SummaryRow], phantom: bool = False, last_is_best: bool = False
) -> str:
    """The plain-text Dice table over all sites that a run prints at its end.

    Args:
        summary: rows of :func:`summarise`.
        phantom: whether the cases are phantoms; the title then says so.
        last_is_best: the last global model was chosen; its rows are then shown once.

    Returns:
        Lines without a final newline: a title, a heading, one line per model and modality, notes.
    """
    rows = [row for row in shown_rows(summary, last_is_best) if row.site == ALL_SITES]
    cells = {(row.model, row.modality, row.organ): row for row in rows}
    organs = sorted({row.organ for row in rows} - {MEAN_ORGAN}, key=_heading_order)
    headings = ["model", "modality", "cases", *(short_name(organ) for organ in organs)]
    further = [(name, metric) for name, metric in other_metrics() if metric.console]
    lines = [[*headings, "mean [95% interval]", *(f"mean {m.title}" for _, m in further)]]
    for model in ordered_models(row.model for row in rows):
        for modality in sorted({row.modality for row in rows if row.model == model}):
            mean = cells.get((model, modality, MEAN_ORGAN))
            found = (cells.get((model, modality, organ)) for organ in organs)
            dice = [_digits(row.dice_mean) if row else "-" for row in found]
            title = model_title(model, last_is_best)
            start = [title, modality, str(mean.cases if mean else 0)]
            means = [_further(mean, name, metric) for name, metric in further]
            lines.append([*start, *dice, _interval(mean), *means])
    data = "phantom data, not patients; test cases" if phantom else "test cases"
    return "\n".join(
        [f"Dice ({data})", *_align(lines, (0, 1, len(headings))), *_notes(summary, last_is_best)]
    )


def format_sites(
    summary: Sequence[SummaryRow], last_is_best: bool = False, external: Collection[str] = ()
) -> str:
    """How each model does at each site, as text; empty for fewer than two sites and modalities.

    Args:
        summary: rows of :func:`summarise`.
        last_is_best: as for :func:`format_table`.
        external: sites that only test.

    Returns:
        Lines without a final newline; with many sites, or long names, only the global models and
        each site's own.
    """
    lines = site_lines(shown_rows(summary, last_is_best))
    if len(lines) < 2:
        return ""
    models = site_models(lines)
    width = sum(len(model_title(model, last_is_best)) + 2 for model in models)
    narrow = len(models) > _MOST_COLUMNS or width > _MOST_LETTERS
    columns = [m for m in models if m in (BEST, LAST)] if narrow else models
    headings = [model_title(model, last_is_best) for model in columns] + ["site's own"] * narrow
    cells = [["site", "modality", "cases", *headings]]
    for line in lines:
        shown = [*columns, *([line.site] if narrow else [])]
        dice = [_site_cell(line, model) for model in shown]
        cells.append([site_title(line.site, external), line.modality, str(line.cases), *dice])
    worst = worst_line(lines, models[0])
    end = [EXTERNAL_NOTE] if {line.site for line in lines} & set(external) else []
    if worst:
        title = model_title(models[0], last_is_best)
        low = _digits(worst.cells[models[0]].dice_mean)
        end += [f"lowest of {title}: {low} at {printable(worst.site)}, {worst.modality}"]
    return "\n".join(["Mean Dice over organs by site", *_align(cells, (0, 1)), *end])


def format_subsets(
    summary: Sequence[SummaryRow],
    channels: Sequence[str] = (),
    phantom: bool = False,
    last_is_best: bool = False,
) -> str:
    """Dice of the best global model over all sites for every modality subset, as text.

    Args:
        summary: rows of :func:`summarise` of a run that scored every subset.
        channels: the job's, for their order.
        phantom, last_is_best: as for :func:`format_table`.

    Returns:
        Lines without a final newline, the mean of the subsets and the lowest last; empty for
        fewer than two subsets.
    """
    model = next(iter(ordered_models(row.model for row in summary)), "")
    scores = subset_scores(summary, model)
    if not scores or len(scores[0].rows) < 2:
        return ""
    own = scores[0]
    organs = own.organs
    lines = [["modalities", "cases", *map(short_name, organs)]]
    for name in ordered_subsets(own.rows, channels):
        lines.append([name, str(own.cases(name)), *(_digits(own.dice(name, o)) for o in organs)])
    mean = f"mean of {len(own.rows)} subsets"
    lines.append([mean, "", *(_digits(own.mean_dice(organ)) for organ in organs)])
    data = "phantom data, not patients; test cases" if phantom else "test cases"
    title = f"Dice of {model_title(model, last_is_best)} by modality subset ({data})"
    return "\n".join([title, *_align(lines, (0,)), *_lowest(scores)])


def _lowest(scores: Sequence[SubsetScores]) -> list[str]:
    """The worst subset over all sites, and the worst site with its worst subset."""
    worst, site = scores[0].worst, worst_site(scores)
    if worst is None:
        return []
    text = f"lowest: {_digits(scores[0].dice(worst))} with {worst}"
    if site and site.worst:
        text += f"; at a site: {_digits(site.dice(site.worst))} at {site.site} with {site.worst}"
    return [printable(text)]


def _notes(summary: Sequence[SummaryRow], last_is_best: bool) -> list[str]:
    notes = model_notes({row.model for row in summary}, last_is_best)
    means = [row for row in summary if row.organ == MEAN_ORGAN and row.site == ALL_SITES]
    if any(0 < row.cases < FEWEST for row in means):
        notes.append(f"no interval below {FEWEST} cases")
    bare = [row for row in means if row.cases >= FEWEST and not row.has_interval]
    reasons = sorted({gap_text(row.cases, row.dice_mean) for row in bare})
    return notes + [f"no interval where {reason}" for reason in reasons]


def _site_cell(line: SiteLine, model: str) -> str:
    row = line.cells.get(model)
    return _digits(row.dice_mean) + line.fewer_cases(model) if row else "-"


def short_name(organ: str) -> str:
    """An organ's name in at most 9 letters, for headings and pictures."""
    return _HEADINGS.get(organ, organ)


def _heading_order(organ: str) -> tuple[int, str]:
    known = list(_HEADINGS)
    return (known.index(organ) if organ in known else len(known)), organ


def _digits(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(row: SummaryRow | None) -> str:
    if row is None or math.isnan(row.dice_mean):
        return "-"
    ends = f" [{row.dice_low:.3f}, {row.dice_high:.3f}]" if row.has_interval else ""
    return f"{row.dice_mean:.3f}{ends}"


def _further(row: SummaryRow | None, name: str, metric: Metric) -> str:
    """The mean of a metric that the console shows beside Dice."""
    value = row.means.get(name, math.nan) if row else math.nan
    return "-" if math.isnan(value) else f"{value:.{metric.digits}f}"


def _align(lines: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Pads the columns, those of ``left`` to the left, the others to the right, under a rule."""
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for line in lines:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        aligned.append("  ".join(cells).rstrip())
    return [aligned[0], "  ".join("-" * width for width in widths), *aligned[1:]]
