"""The report's sections on segmentation scores: headline, comparison of models, every organ."""

import math
from collections.abc import Sequence

from fedvox.data.organs import CANONICAL, REGIONS
from fedvox.metrics.table import MEAN_ORGAN, SummaryRow
from fedvox.report.html import escape, interval_bar, number, table, tint

_PREFERRED = ("global_best", "global_last")
_STRUCTURES = (*CANONICAL, *REGIONS)


def best_model(summary: Sequence[SummaryRow]) -> str | None:
    """The model that the headline speaks of: the best global one, else the first by name."""
    names = sorted({row.model for row in summary}, key=_model_order)
    return names[0] if names else None


def headline(summary: Sequence[SummaryRow]) -> str:
    """One card per modality with the best model's mean Dice, its interval and the cases."""
    model = best_model(summary)
    means = [row for row in summary if row.model == model and row.organ == MEAN_ORGAN]
    if not means:
        return ""
    cards = "\n".join(_card(row) for row in sorted(means, key=lambda row: row.modality))
    return (
        f'<p class="soft">Mean Dice over organs of the model <strong>{escape(model)}</strong>, '
        f'on test cases that took no part in training.</p>\n<div class="cards">\n{cards}\n</div>'
    )


def comparison(summary: Sequence[SummaryRow]) -> str:
    """Dice of every model and modality by organ, tinted, the mean last."""
    if not summary:
        return ""
    organs = sorted({row.organ for row in summary}, key=_organ_order)
    cells = {(row.model, row.modality, row.organ): row for row in summary}
    headings = [("Model", False), ("Modality", False)] + [(_plain(o), True) for o in organs]
    keys = sorted({(row.model, row.modality) for row in summary}, key=_key_order)
    rows, last = [], None
    for model, modality in keys:
        values = [cells.get((model, modality, organ)) for organ in organs]
        scores = [row.dice_mean if row else math.nan for row in values]
        numbers = "".join(f'<td class="n"{tint(s)}>{number(s)}</td>' for s in scores)
        start = ' class="first"' if model != last else ""
        rows.append(
            f'<tr{start}><th scope="row">{escape(model)}</th><td>{escape(modality.upper())}</td>'
            f"{numbers}</tr>"
        )
        last = model
    return f'<div class="scroll">{table("Mean Dice on test cases", headings, rows)}</div>'


def details(summary: Sequence[SummaryRow]) -> str:
    """Per model one table for each modality; all but the headline's model are folded."""
    parts = []
    for model in sorted({row.model for row in summary}, key=_model_order):
        rows = [row for row in summary if row.model == model]
        modalities = sorted({row.modality for row in rows})
        tables = "\n".join(
            f'<div class="scroll">{_organ_table(m, [r for r in rows if r.modality == m])}</div>'
            for m in modalities
        )
        grid = f'<div class="pair">\n{tables}\n</div>'
        if model == best_model(summary):
            parts.append(f"<h3>{escape(model)}</h3>\n{grid}")
        else:
            parts.append(f"<details><summary>{escape(model)}</summary>\n{grid}</details>")
    return "\n".join(parts)


def interval(row: SummaryRow) -> str:
    """The 95% interval as text; none for a single case, which has no spread."""
    if row.cases < 2 or math.isnan(row.dice_low):
        return "no interval"
    return f"[{number(row.dice_low)}, {number(row.dice_high)}]"


def _card(row: SummaryRow) -> str:
    cases = f"{row.cases} test case{'' if row.cases == 1 else 's'}"
    return (
        f'<div class="card"><div class="label">{escape(row.modality.upper())}, mean Dice</div>'
        f'<div class="value">{number(row.dice_mean)}</div>'
        f'<div class="small soft">95% interval {interval(row)}<br>{cases}</div></div>'
    )


def _organ_table(modality: str, rows: Sequence[SummaryRow]) -> str:
    headings = [
        ("Organ", False),
        ("0 to 1", False),
        ("Dice [95%]", True),
        ("HD95, mm", True),
        ("NSD", True),
        ("Cases", True),
    ]
    ordered = sorted(rows, key=lambda row: _organ_order(row.organ))
    return table(modality.upper(), headings, [_organ_line(row) for row in ordered])


def _organ_line(row: SummaryRow) -> str:
    total = ' class="total"' if row.organ == MEAN_ORGAN else ""
    low, high = (row.dice_low, row.dice_high) if row.cases > 1 else (row.dice_mean, row.dice_mean)
    dice = f"{number(row.dice_mean)} {interval(row)}" if row.cases else "no evidence"
    return (
        f'<tr{total}><th scope="row">{escape(_plain(row.organ))}</th>'
        f"<td>{interval_bar(row.dice_mean, low, high)}</td>"
        f'<td class="n">{dice}</td><td class="n">{number(row.hd95_mm_mean, 1)}</td>'
        f'<td class="n">{number(row.nsd_mean)}</td><td class="n">{row.cases}</td></tr>'
    )


def _plain(organ: str) -> str:
    return organ.replace("_", " ").capitalize()


def _organ_order(organ: str) -> tuple[bool, int, str]:
    place = _STRUCTURES.index(organ) if organ in _STRUCTURES else len(_STRUCTURES)
    return organ == MEAN_ORGAN, place, organ


def _model_order(model: str) -> tuple[int, str]:
    return (_PREFERRED.index(model) if model in _PREFERRED else len(_PREFERRED)), model


def _key_order(key: tuple[str, str]) -> tuple[tuple[int, str], str]:
    return _model_order(key[0]), key[1]
