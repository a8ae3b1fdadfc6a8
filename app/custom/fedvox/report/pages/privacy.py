"""The report's section on privacy: what each site has spent with its noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedvox.privacy.noise_settings import CASE, SITE
from fedvox.report.pages.html import escape, table
from fedvox.report.records.rounds import number_of

Record = Mapping[str, Any]

_HEADINGS = (
    ("Site", False),
    ("Updates with noise", True),
    ("ε", True),
    ("δ", True),
    ("Hides", False),
)
_HIDES = {SITE: "all training cases at once", CASE: "each training case"}
_NOTE = (
    '<p class="soft small">ε and δ as each site states them, by Opacus\' accountant, over every '
    "update that the site ever sent, earlier jobs included. They speak of the weights; scores of "
    "validation and test cases have no noise.</p>"
)


def privacy_section(rounds: Sequence[Record]) -> str:
    """One line per site that gave its updates noise; nothing where none did.

    Args:
        rounds: records of ``rounds.jsonl``.
    """
    told: dict[str, list[Record]] = {}
    without: set[str] = set()
    for record in rounds:
        for part in record.get("contributors") or []:
            site = str(part.get("site", "?"))
            if part.get("epsilon") is None:
                without.add(site)
            else:
                told.setdefault(site, []).append(part)
    if not told:
        return ""
    lines = [_line(site, told[site]) for site in sorted(told)]
    missing = sorted(without)
    names = ", ".join(escape(site) for site in missing)
    warning = f"<p><strong>Without noise</strong> in some rounds: {names}.</p>" if missing else ""
    return f"{table('Privacy by site', _HEADINGS, lines)}{warning}{_NOTE}"


def _line(site: str, parts: Sequence[Record]) -> str:
    last = parts[-1]
    return (
        f'<tr><th scope="row" class="keep">{escape(site)}</th><td class="n">{len(parts)}</td>'
        f'<td class="n">{number_of(last, "epsilon"):.4g}</td>'
        f'<td class="n">{number_of(last, "delta"):.2g}</td>'
        f"<td>{_HIDES.get(str(last.get('unit', SITE)), '?')}</td></tr>"
    )
