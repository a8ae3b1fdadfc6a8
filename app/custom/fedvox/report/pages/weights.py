"""The report's section on weights: each site's share over the rounds, and what it was made from."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.report.figures.weights import MOST_NAMED, Curves, draw_weights, share_curves
from fedvox.report.pages.html import escape, number, picture, table
from fedvox.report.records.rounds import number_of

Record = Mapping[str, Any]

_VARIES = 5e-3
"""Shares that differ by less over the rounds are the same line to the eye."""


def weights_section(rounds: Sequence[Record], phantom: bool) -> str:
    """A figure and a table; nothing where shares stay as they are and no rule gave terms.

    Args:
        rounds: records of ``rounds.jsonl``.
        phantom: whether the cases are phantoms; the caption then says so.
    """
    curves = share_curves(rounds)
    terms = last_terms(rounds)
    if not terms and not _varies(curves):
        return ""
    caption = "Share of each site in the mean, round by round."
    if len(curves) > MOST_NAMED:
        caption += f" Named are the {MOST_NAMED} that counted most in the end."
    caption += " Phantom data." * phantom
    alternative = "Share of each site in the global model by round, one line per site"
    return picture(draw_weights(curves), alternative, caption) + terms


def last_terms(rounds: Sequence[Record]) -> str:
    """A table of the terms behind the shares of the last round that has any; empty without."""
    named = [r for r in rounds if any(_terms(part) for part in r.get("contributors") or [])]
    if not named:
        return ""
    parts = named[-1]["contributors"]
    names = list(dict.fromkeys(name for part in parts for name in _terms(part)))
    headings = [("Site", False), ("Share", True)]
    headings += [(name.replace("_", " "), True) for name in names]
    caption = f"What the weights of round {int(named[-1]['round']) + 1} were made from"
    if "score" in names:
        caption += (
            ": the score is the product of the factors before it; from scores to shares the job's "
            "bounds and the smoothing over rounds count too"
        )
    body = table(caption, headings, [_line(part, names) for part in parts])
    return f'\n<div class="scroll" tabindex="0">{body}</div>'


def _varies(curves: Curves) -> bool:
    return any(max(curve.values()) - min(curve.values()) > _VARIES for curve in curves.values())


def _terms(part: Record) -> Mapping[str, Any]:
    terms = part.get("terms")
    return terms if isinstance(terms, Mapping) else {}


def _line(part: Record, names: Sequence[str]) -> str:
    terms = _terms(part)
    cells = "".join(f'<td class="n">{number(number_of(terms, name))}</td>' for name in names)
    return (
        f'<tr><th scope="row">{escape(part.get("site", "?"))}</th>'
        f'<td class="n">{number(number_of(part, "weight"))}</td>{cells}</tr>'
    )
