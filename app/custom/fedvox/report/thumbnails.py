"""Thumbnails of a site's cases with the outlines of their labels; they stay at the site."""

import base64
import io
from collections.abc import Mapping

import numpy as np

from fedvox.data.check.case import CaseReport
from fedvox.data.check.thumbnail import Thumbnail
from fedvox.data.organs import CANONICAL
from fedvox.report.html import escape
from fedvox.report.organ_names import organ_middle
from fedvox.report.overlay import radiological_slice
from fedvox.report.palette import ORGAN_COLOURS

SCALE = 2


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


def outlined(thumbnail: Thumbnail) -> bytes:
    """The slice as a PNG, the patient's right on the left, organs outlined in their colours."""
    from matplotlib.image import imsave

    grey, organs = (
        radiological_slice(plane[:, :, None], 2, 0) for plane in (thumbnail.grey, thumbnail.organs)
    )
    picture = np.stack([grey] * 3, axis=-1)
    edge = _edge(organs)
    picture[edge] = _palette()[organs[edge]]
    picture = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    content = io.BytesIO()
    imsave(content, picture, format="png")
    return content.getvalue()


def _edge(organs: np.ndarray) -> np.ndarray:
    """Labelled pixels with a neighbour of another value, ``(rows, columns)`` booleans."""
    height, width = organs.shape
    padded = np.pad(organs, 1)
    inner = np.ones(organs.shape, bool)
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inner &= padded[row : row + height, column : column + width] == organs
    return (organs > 0) & ~inner


def _palette() -> np.ndarray:
    """RGB of each value of the map, ``(values, 3)`` uint8."""
    colours = ["#000000", *(ORGAN_COLOURS[organ] for organ in CANONICAL)]
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8)


def _legend(numbers: Mapping[str, int]) -> str:
    entries = "".join(
        f'<span class="keep"><span class="swatch" style="background:{ORGAN_COLOURS[organ]}"></span>'
        f"{number} {escape(organ.replace('_', ' '))}</span> "
        for organ, number in numbers.items()
    )
    return f'<p class="small soft">{entries}</p>' if entries else ""
