"""Writes everything a run leaves behind, apart from what sites keep to themselves."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedvox.cells import printable
from fedvox.metrics.models import BEST, LAST
from fedvox.metrics.subsets import SUBSET_NOTE, as_held
from fedvox.metrics.summary import summarise
from fedvox.metrics.table import MetricRow, SharedSummary, SummaryRow, write_csv
from fedvox.metrics.text_table import format_sites, format_subsets, format_table
from fedvox.report.figures.learning_curves import draw_progress
from fedvox.report.pages.run_page import write_report
from fedvox.report.records.facts import (
    personal_note,
    run_facts,
    tolerance_note,
    untrained_note,
)
from fedvox.report.records.run_files import RunFiles, read_run


def choose_rows(
    rows: Sequence[MetricRow], shared: Sequence[SharedSummary], last_is_best: bool
) -> tuple[list[MetricRow], list[SharedSummary]]:
    """Lets ``global_best`` name the model that was chosen.

    Args:
        rows: per-case rows; ``global_best`` is the best of the earlier rounds.
        shared: the same from sites that share summaries only.
        last_is_best: the last round's model did at least as well on validation cases.
    """
    if not last_is_best:
        return list(rows), list(shared)
    kept = [row for row in rows if row.model != BEST]
    kept += [replace(row, model=BEST) for row in kept if row.model == LAST]
    own = [part for part in shared if part.model != BEST]
    own += [replace(part, model=BEST) for part in own if part.model == LAST]
    return kept, own


def write_results(
    folder: Path,
    rows: Sequence[MetricRow],
    shared: Sequence[SharedSummary],
    rounds: Sequence[Mapping[str, Any]],
    resamples: int,
    phantom: bool,
) -> list[SummaryRow]:
    """Writes ``metrics.csv``, ``summary.csv``, ``progress.png`` and ``report.html``.

    Args:
        folder: the run's folder; ``rounds.jsonl``, ``run.json``, ``model.json`` and overlays lie
            there already.
        rows: per-case rows that sites share.
        shared: summaries of the other sites.
        rounds: the rounds' records.
        resamples: without effect, since intervals need none.
        phantom: True when the data are phantoms.

    Returns:
        The summary, for printing.
    """
    ordered = sorted(rows, key=lambda r: (r.model, r.site, r.split, r.modality, r.case, r.organ))
    write_csv(folder / "metrics.csv", ordered, MetricRow)
    summary = summarise(rows, shared, resamples)
    write_csv(folder / "summary.csv", summary, SummaryRow)
    records = [dict(record) for record in rounds]
    draw_progress(records, folder / "progress.png", phantom, read_run(folder).chosen)
    write_report(folder)
    return summary


def results_text(summary: Sequence[SummaryRow], folder: Path, phantom: bool) -> str:
    """What a run prints at its end: which run it was, the Dice tables, where the files lie.

    Args:
        summary: rows of ``summary.csv``.
        folder: the run's folder, with all its files.
        phantom: True when the data are phantoms.
    """
    page = folder / "report.html"
    run = read_run(folder)
    head = "\n".join(map(printable, run_facts(run)))
    if not summary:
        return (
            f"\n{head}\n\nno test case at any site, so there is no Dice table\n\nreport:  {page}\n"
        )
    listed = as_held(summary) if run.subsets else summary
    by_subset = format_subsets(summary, run.channels, phantom, run.last_is_best)
    parts = [
        head,
        format_table(listed, phantom, run.last_is_best),
        SUBSET_NOTE if run.subsets else "",
        format_sites(listed, run.last_is_best, run.external),
        by_subset if run.subsets else "",
        _unscored(summary, run),
        printable(personal_note(run)),
        printable(untrained_note(run)),
        printable(tolerance_note(run)),
        f"results: {folder}\nreport:  {page}",
    ]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _unscored(summary: Sequence[SummaryRow], run: RunFiles) -> str:
    """Names the sites of the run that are in no table."""
    scored = {row.site for row in summary}
    sites = (
        [site.site for site in run.record.sites if site.site not in scored] if run.record else []
    )
    return f"no result of {', '.join(map(printable, sites))}" if sites else ""


def collect_overlays(folders: Sequence[Path], results: Path, last_is_best: bool) -> None:
    """On one machine all sites are one person's: their overlays join the report.

    Where the last model is the best, sites drew an earlier candidate as the best: it stays behind.

    Args:
        folders: the sites' picture folders.
        results: the run's folder.
        last_is_best: the last round's model was chosen.
    """
    for folder in folders:
        for picture in sorted(folder.glob("overlay_*.png")):
            if not (last_is_best and picture.name.startswith(f"overlay_{BEST}_")):
                shutil.copy2(picture, results / picture.name)
