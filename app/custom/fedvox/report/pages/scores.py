"""The report's sections on segmentation scores: headline, models, hospitals, every organ."""

import math
from collections.abc import Collection, Iterable, Sequence

from fedvox.data.organs import CANONICAL, REGIONS
from fedvox.metrics import other_metrics
from fedvox.metrics.interval import gap_text
from fedvox.metrics.models import model_notes, model_title, ordered_models, shown_rows
from fedvox.metrics.site_table import (
    EXTERNAL_NOTE,
    SiteLine,
    site_lines,
    site_models,
    site_title,
    worst_line,
)
from fedvox.metrics.table import ALL_SITES, MEAN_ORGAN, SummaryRow
from fedvox.report.pages.html import escape, interval_bar, number, table, tint

_STRUCTURES = (*CANONICAL, *REGIONS)


def best_model(summary: Sequence[SummaryRow]) -> str | None:
    """The model that the headline speaks of: the best global one, else the first by name."""
    names = ordered_models(row.model for row in summary)
    return names[0] if names else None


def headline(summary: Sequence[SummaryRow], last_is_best: bool = False) -> str:
    """One card per modality with the best model's mean Dice, its interval and the cases.

    Args:
        summary: rows of ``summary.csv``.
        last_is_best: the last global model was chosen.
    """
    model = best_model(summary)
    means = [row for row in _pooled(summary) if row.model == model and row.organ == MEAN_ORGAN]
    if model is None or not means:
        return ""
    lines = site_lines(summary)
    cards = "\n".join(
        _card(row, [line for line in lines if line.modality == row.modality])
        for row in sorted(means, key=lambda row: row.modality)
    )
    title = escape(model_title(model, last_is_best))
    return (
        f'<p class="soft">Mean Dice over organs of the model <strong>{title}</strong>, '
        f'on test cases that took no part in training.</p>\n<div class="cards">\n{cards}\n</div>'
    )


def comparison(summary: Sequence[SummaryRow], last_is_best: bool = False) -> str:
    """Dice of every model and modality by organ over all sites, tinted, the mean last."""
    rows = _pooled(shown_rows(summary, last_is_best))
    if not rows:
        return ""
    organs = sorted({row.organ for row in rows}, key=_organ_order)
    headings = [("Model", False), ("Modality", False), ("Cases", True)]
    headings += [(_plain(organ), True) for organ in organs]
    lines = []
    for model in ordered_models(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        for place, modality in enumerate(sorted({row.modality for row in own})):
            cells = {row.organ: row for row in own if row.modality == modality}
            name = model_title(model, last_is_best)
            lines.append(
                _comparison_line(name, modality, [cells.get(o) for o in organs], not place)
            )
    content = f'<div class="scroll">{table("Mean Dice on test cases", headings, lines)}</div>'
    return content + _notes(rows, last_is_best)


def hospitals(
    summary: Sequence[SummaryRow],
    sites: Iterable[str] = (),
    last_is_best: bool = False,
    external: Collection[str] = (),
) -> str:
    """Mean Dice of every model at every site, the lowest of the headline's model named.

    Args:
        summary: rows of ``summary.csv``.
        sites: all sites of the run; those without any score get a line that says so.
        last_is_best: the last global model was chosen.
        external: sites that only test.
    """
    lines = site_lines(shown_rows(summary, last_is_best))
    if not lines:
        return ""
    models = site_models(lines)
    headings = [("Site", False), ("Modality", False), ("Cases", True)]
    headings += [(model_title(model, last_is_best), True) for model in models]
    worst = worst_line(lines, models[0])
    rows = [_site_row(line, models, line == worst, external) for line in lines]
    scored = {line.site for line in lines}
    rows += [
        f'<tr class="first"><th scope="row">{escape(site)}</th><td colspan="{len(models) + 2}">no '
        "result: it has no test case with an organ of the job, or its evaluation did not come"
        "</td></tr>"
        for site in sorted(set(sites) - scored)
    ]
    caption = "Mean Dice over organs on each site's test cases"
    note = f'<p class="soft small">{EXTERNAL_NOTE.capitalize()}.</p>'
    return f'{_worst_text(worst, models[0], last_is_best)}<div class="scroll">' + (
        f"{table(caption, headings, rows)}</div>{note if scored & set(external) else ''}"
    )


def details(summary: Sequence[SummaryRow], hd95: str, last_is_best: bool = False) -> str:
    """Per model one table for each modality; all but the headline's model are folded.

    Args:
        summary: rows of ``summary.csv``.
        hd95: what the column HD95 holds, one of :data:`fedvox.metrics.hd95.TITLES`.
        last_is_best: the last global model was chosen.
    """
    rows = _pooled(shown_rows(summary, last_is_best))
    parts = []
    for model in ordered_models(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        tables = "\n".join(
            f'<div class="scroll">{_organ_table(m, [r for r in own if r.modality == m])}</div>'
            for m in sorted({row.modality for row in own})
        )
        grid = f'<div class="pair">\n{tables}\n</div>'
        title = escape(model_title(model, last_is_best))
        if model == best_model(rows):
            parts.append(f"<h3>{title}</h3>\n{grid}")
        else:
            parts.append(f"<details><summary>{title}</summary>\n{grid}</details>")
    if parts:
        note = (
            f"HD95: {hd95}, mean over the cases that have one; an organ that the model misses "
            "costs the image's diagonal. Cases: with a Dice."
        )
        parts.insert(0, f'<p class="soft small">{escape(note)}</p>')
    return "\n".join(parts)


def interval(row: SummaryRow) -> str:
    """The 95% interval as text; few cases, or cases without any spread, have none."""
    ends = f"[{number(row.dice_low)}, {number(row.dice_high)}]"
    return ends if row.has_interval else "no interval"


def _pooled(summary: Sequence[SummaryRow]) -> list[SummaryRow]:
    return [row for row in summary if row.site == ALL_SITES]


def _notes(rows: Sequence[SummaryRow], last_is_best: bool) -> str:
    notes = model_notes({row.model for row in rows}, last_is_best)
    return "".join(f'<p class="soft small">{escape(note)}.</p>' for note in notes)


def _comparison_line(
    name: str, modality: str, cells: Sequence[SummaryRow | None], first: bool
) -> str:
    scores = [row.dice_mean if row else math.nan for row in cells]
    numbers = "".join(f'<td class="n"{tint(s)}>{number(s)}</td>' for s in scores)
    cases = max(row.cases for row in cells if row)
    start = ' class="first"' if first else ""
    return (
        f'<tr{start}><th scope="row">{escape(name)}</th><td>{escape(modality.upper())}</td>'
        f'<td class="n">{cases}</td>{numbers}</tr>'
    )


def _site_row(line: SiteLine, models: Sequence[str], worst: bool, external: Collection[str]) -> str:
    cells = ""
    for place, model in enumerate(models):
        row = line.cells.get(model)
        dice = row.dice_mean if row else math.nan
        text = number(dice) + line.fewer_cases(model)
        lowest = worst and not place
        cells += f'<td class="n"{tint(dice)}>{f"<strong>{text}</strong>" if lowest else text}</td>'
    return (
        f'<tr class="first"><th scope="row">{escape(site_title(line.site, external))}</th>'
        f'<td>{escape(line.modality.upper())}</td><td class="n">{line.cases}</td>{cells}</tr>'
    )


def _worst_text(worst: SiteLine | None, model: str, last_is_best: bool) -> str:
    if worst is None:
        return ""
    row = worst.cells[model]
    title = escape(model_title(model, last_is_best))
    return (
        f"<p>{title} is lowest at <strong>{escape(worst.site)}</strong>, "
        f"{escape(worst.modality.upper())}: {number(row.dice_mean)} over {_cases(row.cases)}.</p>\n"
    )


def _cases(count: int) -> str:
    return f"{count} test case{'' if count == 1 else 's'}"


def _card(row: SummaryRow, lines: Sequence[SiteLine]) -> str:
    text = f"95% interval {interval(row)}"
    if not row.has_interval:
        text = f"no interval: {gap_text(row.cases, row.dice_mean)}"
    worst = worst_line(lines, row.model)
    low = number(worst.cells[row.model].dice_mean) if worst else ""
    lowest = f"<br>lowest: {low} at {escape(worst.site)}" if worst else ""
    return (
        f'<div class="card"><div class="label">{escape(row.modality.upper())}, mean Dice</div>'
        f'<div class="value">{number(row.dice_mean)}</div>'
        f'<div class="small soft">{text}<br>{_cases(row.cases)}{lowest}</div></div>'
    )


def _organ_table(modality: str, rows: Sequence[SummaryRow]) -> str:
    headings = [
        ("Organ", False),
        ("0 to 1", False),
        ("Dice [95%]", True),
        *((metric.title, True) for _, metric in other_metrics()),
        ("Cases", True),
    ]
    ordered = sorted(rows, key=lambda row: _organ_order(row.organ))
    return table(modality.upper(), headings, [_organ_line(row) for row in ordered])


def _organ_line(row: SummaryRow) -> str:
    total = ' class="total"' if row.organ == MEAN_ORGAN else ""
    ends = (row.dice_low, row.dice_high) if row.has_interval else (row.dice_mean, row.dice_mean)
    dice = f"{number(row.dice_mean)} {interval(row)}" if row.cases else "no evidence"
    others = "".join(
        f'<td class="n">{number(row.means.get(name, math.nan), metric.digits)}</td>'
        for name, metric in other_metrics()
    )
    return (
        f'<tr{total}><th scope="row">{escape(_plain(row.organ))}</th>'
        f"<td>{interval_bar(row.dice_mean, *ends)}</td>"
        f'<td class="n">{dice}</td>{others}<td class="n">{row.cases}</td></tr>'
    )


def _plain(organ: str) -> str:
    return organ.replace("_", " ").capitalize()


def _organ_order(organ: str) -> tuple[bool, int, str]:
    place = _STRUCTURES.index(organ) if organ in _STRUCTURES else len(_STRUCTURES)
    return organ == MEAN_ORGAN, place, organ
