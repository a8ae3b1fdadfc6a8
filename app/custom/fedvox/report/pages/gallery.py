"""The thumbnails of a site's cases, one figure each, with a legend; they stay at the site."""

import base64
from collections.abc import Mapping

from fedvox.data.check.case import CaseReport
from fedvox.data.check.thumbnail import Thumbnail
from fedvox.data.organs import CANONICAL
from fedvox.report.figures.organ_names import organ_middle
from fedvox.report.figures.overlay import radiological_slice
from fedvox.report.figures.palette import ORGAN_COLOURS
from fedvox.report.figures.thumbnails import outlined
from fedvox.report.pages.html import escape


def gallery(cases: tuple[CaseReport, ...]) -> str:
    """Markup of one figure per case that has a thumbnail, refused and noticed ones first.

    Organs carry the numbers of the legend, so that no one has to tell them by colour.
    """
    shown = [case for case in cases if case.thumbnail is not None]
    shown.sort(key=lambda case: (not case.refused, not case.problems))
    seen = {organ for case in shown for organ in case.organs_ml}
    numbers = {organ: n for n, organ in enumerate((o for o in CANONICAL if o in seen), start=1)}
    figures = "\n".join(_figure(case, numbers) for case in shown)
    return f'<div class="gallery">\n{figures}\n</div>\n{_legend(numbers)}' if shown else ""


def _figure(case: CaseReport, numbers: Mapping[str, int]) -> str:
    assert case.thumbnail is not None
    content = base64.b64encode(outlined(case.thumbnail)).decode("ascii")
    facts = " · ".join(part for part in ("/".join(case.parts), case.modality.upper()) if part)
    checks = sorted({problem.check for problem in case.problems})
    note = f"<br><strong>{escape(', '.join(checks))}</strong>" if checks else ""
    return (
        f'<figure{" class=odd" if checks else ""}><div class="shot"><img src="data:image/png;'
        f'base64,{content}" alt="Axial slice of case {escape(case.code)}">'
        f"{_marks(case.thumbnail, numbers)}</div><figcaption><code>{escape(case.code)}"
        f"</code><br>{escape(facts)}{note}</figcaption></figure>"
    )


def _marks(thumbnail: Thumbnail, numbers: Mapping[str, int]) -> str:
    """The number of each organ of the legend, in the middle of that organ."""
    organs = radiological_slice(thumbnail.organs[:, :, None], 2, 0)
    marks = ""
    for organ, number in numbers.items():
        mask = organs == CANONICAL.index(organ) + 1
        if mask.any():
            row, column, _ = organ_middle(mask)
            left, top = (
                100 * (place + 0.5) / length
                for place, length in ((column, mask.shape[1]), (row, mask.shape[0]))
            )
            marks += f'<span class="mark" style="left:{left:.1f}%;top:{top:.1f}%">{number}</span>'
    return marks


def _legend(numbers: Mapping[str, int]) -> str:
    entries = "".join(
        f'<span class="keep"><span class="swatch" style="background:{ORGAN_COLOURS[organ]}"></span>'
        f"{number} {escape(organ.replace('_', ' '))}</span> "
        for organ, number in numbers.items()
    )
    return f'<p class="small soft">{entries}</p>' if entries else ""
