"""The few pieces of HTML that the report is built from; every text passes through escape()."""

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path

STYLE = """
:root { --ink:#1f2933; --soft:#52606d; --line:#d9dee4; --tint:#f5f7fa; --accent:#0b5c8c; }
* { box-sizing:border-box; }
html { -webkit-text-size-adjust:100%; color-scheme:light; }
body { margin:0; background:#fff; color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI","Helvetica Neue",Arial,"DejaVu Sans",
  sans-serif; }
main, header > div, footer { max-width:72rem; margin:0 auto; padding:0 1.5rem; }
header { background:var(--tint); border-bottom:1px solid var(--line); padding:2rem 0 1.5rem; }
h1 { font-size:1.9rem; line-height:1.2; margin:0 0 .3rem; overflow-wrap:anywhere; }
h2 { font-size:1.3rem; margin:2.6rem 0 .6rem; padding-bottom:.3rem;
  border-bottom:2px solid var(--line); }
h3 { font-size:1.02rem; margin:1.3rem 0 .4rem; }
p, ul { max-width:46rem; } .soft { color:var(--soft); } .small { font-size:.88rem; }
.banner { background:#fff3d6; border-left:.4rem solid #d48806; padding:.8rem 1.1rem;
  margin:1.2rem 0 0; font-weight:600; border-radius:0 .3rem .3rem 0; }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(13rem,1fr)); gap:1rem; }
.card { border:1px solid var(--line); border-radius:.5rem; padding:.9rem 1.1rem; background:#fff; }
.card .label { color:var(--soft); font-size:.88rem; }
.card .value { font-size:2.1rem; font-weight:650; line-height:1.25;
  font-variant-numeric:tabular-nums; }
.pair { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,33rem),1fr));
  gap:0 1.3rem; }
.pair th, .pair td { padding-left:.3rem; padding-right:.3rem; white-space:nowrap; }
.pair th[scope=row] { white-space:normal; }
#hospitals thead th.n { white-space:normal; overflow-wrap:anywhere; min-width:8rem; }
.pair table { font-size:.84rem; } .pair svg { vertical-align:middle; }
.scroll { overflow-x:auto; margin:.4rem 0 1rem; }
.tall { max-height:42rem; overflow:auto; border:1px solid var(--line); border-radius:.3rem; }
table { border-collapse:collapse; width:100%; font-size:.9rem; font-variant-numeric:tabular-nums; }
caption { text-align:left; font-weight:600; padding:.4rem 0; }
th, td { padding:.34rem .6rem; border-bottom:1px solid var(--line); text-align:left;
  vertical-align:top; }
thead th { background:var(--tint); border-bottom:2px solid var(--line); vertical-align:bottom; }
.tall thead th { position:sticky; top:0; }
th[scope=row], th[scope=rowgroup] { font-weight:500; }
th.n, td.n { text-align:right; white-space:nowrap; } .keep { white-space:nowrap; }
.total > * { font-weight:650; background:var(--tint); }
.first > * { border-top:2px solid #b8c2cc; }
.refused { background:#fdecea; }
figure { margin:0 0 1.5rem; } figure img { display:block; width:100%; height:auto;
  border:1px solid var(--line); border-radius:.3rem; }
figcaption { color:var(--soft); font-size:.88rem; padding:.4rem 0; }
dl { display:grid; grid-template-columns:minmax(8rem,max-content) 1fr; gap:.25rem 1.4rem;
  margin:0; }
dt { color:var(--soft); } dd { margin:0; overflow-wrap:anywhere; }
code { font:.88em ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace; }
details { margin:.6rem 0; } summary { cursor:pointer; font-weight:600; color:var(--accent); }
footer { margin-top:3rem; padding-top:1rem; padding-bottom:2rem; color:var(--soft);
  font-size:.85rem; border-top:1px solid var(--line); }
@media print {
  body { font-size:10.5pt; -webkit-print-color-adjust:exact; print-color-adjust:exact; }
  .tall, .scroll { max-height:none; overflow:visible; border:0; }
  .tall thead th { position:static; }
  h2, h3 { break-after:avoid; } figure, tr, .card { break-inside:avoid; }
}
"""


def escape(text: object) -> str:
    """Any value as text that is safe inside an element and inside a quoted attribute."""
    return html.escape(str(text), quote=True)


def document(title: str, header: str, body: str, footer: str, style: str = "") -> str:
    """A whole page with its style sheet inside.

    Args:
        title: plain text.
        header: markup under the page's top.
        body: markup of the sections.
        footer: markup of the page's end.
        style: rules that this page needs beyond the common ones.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f"<header><div>\n{header}\n</div></header>\n<main>\n{body}\n</main>\n"
        f"<footer>{footer}</footer>\n</body>\n</html>\n"
    )


def section(anchor: str, heading: str, content: str) -> str:
    """A section with a heading; nothing when it has no content."""
    if not content:
        return ""
    label = f"{anchor}-heading"
    return (
        f'<section id="{anchor}" aria-labelledby="{label}">\n'
        f'<h2 id="{label}">{escape(heading)}</h2>\n{content}\n</section>'
    )


def table(caption: str, headings: Sequence[tuple[str, bool]], rows: Sequence[str]) -> str:
    """A table with its caption and column headings.

    Args:
        caption: plain text.
        headings: text of each column and whether it holds numbers (aligned to the right).
        rows: markup of the ``<tr>`` elements.
    """
    heads = "".join(
        f'<th scope="col"{" class=n" if number else ""}>{escape(text)}</th>'
        for text, number in headings
    )
    return (
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
    )


def image(path: Path, alternative: str, caption: str) -> str:
    """A PNG carried inside the page, with its text alternative and a caption (both plain text)."""
    return picture(path.read_bytes(), alternative, caption)


def picture(png: bytes, alternative: str, caption: str) -> str:
    """As :func:`image`, from the content of a PNG file."""
    content = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{content}" alt="{escape(alternative)}">\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def interval_bar(mean: float, low: float, high: float) -> str:
    """A mean as a bar from 0 to 1 with its interval as a whisker, in inline SVG.

    The numbers stand beside it in the table, so the drawing is hidden from screen readers.
    """
    if math.isnan(mean):
        return ""
    left, right = (1 + 62 * value for value in (low, high))
    return (
        '<svg width="64" height="14" viewBox="0 0 64 14" aria-hidden="true">'
        '<rect x="1" y="2" width="62" height="10" fill="#eef1f4"/>'
        f'<rect x="1" y="2" width="{62 * mean:.1f}" height="10" fill="#8fbfdd"/>'
        f'<path d="M{left:.1f} 7H{right:.1f}M{left:.1f} 4v6M{right:.1f} 4v6" stroke="#0b3d5c" '
        'stroke-width="1.2" fill="none"/></svg>'
    )


def tint(dice: float) -> str:
    """Background for a Dice cell, from white at 0.3 to blue at 1; text stays dark on all of it."""
    if math.isnan(dice):
        return ""
    share = min(max((dice - 0.3) / 0.7, 0.0), 1.0)
    return f' style="background:rgba(86,160,211,{0.55 * share:.2f})"'


def number(value: float, digits: int = 3) -> str:
    """A number with a fixed count of decimals, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def byte_size(count: float) -> str:
    """Bytes for people: ``1.4 MB``; a dash where there is no number."""
    if not math.isfinite(count):
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``3 min 10 s``, ``2 h 05 min``; a dash without a number."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"
