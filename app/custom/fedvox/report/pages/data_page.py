"""One self-contained page about a site's data, made by ``fedvox check``; it stays at the site."""

from collections import Counter
from pathlib import Path

import fedvox
from fedvox.data.cases.splits import SPLITS
from fedvox.data.check.case import CaseReport
from fedvox.data.check.site import SiteReport
from fedvox.data.check.summary import (
    FoundIn,
    findings,
    headline,
    ignored_line,
    missing_line,
    organ_volumes,
)
from fedvox.data.settings import DataSettings
from fedvox.files import PRIVATE, write_text
from fedvox.finding import FAIL
from fedvox.report.figures.site_data import draw_grids, draw_intensities, draw_volumes
from fedvox.report.pages.gallery import gallery
from fedvox.report.pages.html import document, escape, number, picture, section, table
from fedvox.report.pages.run_page import PHANTOM_BANNER

_SHOWN = 6
"""Codes named in a row of the findings; the others fold away."""

_STYLE = """
.gallery { display:grid; grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr)); gap:.9rem; }
.gallery figure { margin:0; } .gallery img { background:#000; }
.shot { position:relative; } .shot img { display:block; width:100%; }
.mark { position:absolute; transform:translate(-50%,-50%); color:#fff; font:700 .68rem/1 sans-serif;
  text-shadow:0 0 2px #000,0 0 2px #000,0 0 3px #000; }
.gallery .odd img { border:2px solid #d48806; }
.swatch { display:inline-block; width:.8rem; height:.8rem; border-radius:.15rem;
  margin:0 .35rem 0 .8rem; vertical-align:-.05rem; }
.status { font-weight:650; border-radius:.25rem; padding:.05rem .45rem; white-space:nowrap; }
.FAIL { background:#fdecea; color:#8c1d13; } .WARN { background:#fff3d6; color:#7a4d00; }
.PASS { background:#e3f4e8; color:#14532d; }
"""

_METHODS = """<ul>
<li><strong>Every file was read</strong> to its end, with the checksum of gzip. A file without gzip
has no checksum: a changed voxel in it cannot be seen.</li>
<li><strong>FAIL</strong>: training leaves the case out, or ought to. <strong>WARN</strong>:
unusual, look at it; nothing follows from it.</li>
<li><strong>Equal voxels</strong> are found whatever the file's name, header, orientation, number
type and intensity scale. Cropped, resampled or filtered copies and second scans are not.</li>
<li><strong>Place of a label.</strong> Its grid must be the image's. A label that was shifted within
the grid is noticed when much of it lies in air or when right and left are exchanged, not otherwise:
look at the slices.</li>
<li><strong>Codes</strong> are the first digits of an HMAC of the case's identifier under a key that
stays at the site; <code>fedvox check SITE_FILE --which CODE</code> tells the case.</li>
</ul>"""


def write_data_page(path: Path, report: SiteReport, job: DataSettings | None = None) -> None:
    """Writes the page.

    Args:
        path: the HTML file; only its owner may read it.
        report: from :func:`fedvox.data.check.site.check_site`.
        job: the job's data settings, or None.
    """
    pictures = gallery(report.cases)
    body = "\n".join(
        (
            section("result", "Result", _cards(report)),
            section("findings", "Findings", _findings(report)),
            section("cases", "Cases", _cases(report)),
            section("intensities", "Intensities", _intensities(report)),
            section("grids", "Voxels and fields of view", _grids(report, job)),
            section("organs", "Organs", _organs(report)),
            section("slices", "Slices", _slices(pictures)),
            section("methods", "What was looked at", _METHODS),
        )
    )
    version = escape(fedvox.__version__)
    footer = f"Made by FedVox {version} from the site's own files. Not a medical device."
    header = _header(report, bool(pictures))
    page = document("FedVox: data check", header, body, footer, _STYLE)
    write_text(path, page, PRIVATE)


def _header(report: SiteReport, pictures: bool) -> str:
    banner = f'<p class="banner" role="note">{PHANTOM_BANNER}</p>' if report.phantom else ""
    if pictures:
        banner += (
            '<p class="banner" role="note">This page shows slices of patients. Keep it at the '
            "site.</p>"
        )
    return (
        f'<h1>Data check</h1>\n<p class="soft">{escape(_headlines(report))}. '
        f"The page names no file.</p>\n{banner}"
    )


def _headlines(report: SiteReport) -> str:
    lines = (headline(report), ignored_line(report), missing_line(report))
    return ". ".join(line for line in lines if line)


def _cards(report: SiteReport) -> str:
    refused = sum(case.refused and not case.quarantined for case in report.cases)
    noticed = sum(bool(case.problems) and not case.refused for case in report.cases)
    cards = [
        ("cases can be used", report.usable()),
        ("cases are refused", refused),
        ("cases to look at", noticed),
        ("cases in quarantine", sum(case.quarantined for case in report.cases)),
    ]
    return '<div class="cards">\n{}\n</div>'.format(
        "\n".join(
            f'<div class="card"><div class="value">{count}</div>'
            f'<div class="label">{escape(label)}</div></div>'
            for label, count in cards
        )
    )


def _findings(report: SiteReport) -> str:
    found = findings(report)
    if not found:
        return '<p><span class="status PASS">PASS</span> Nothing was found.</p>'
    columns = ("Status", "Check", "What was found", "What to do", "Cases")
    rows = [_finding(entry) for entry in found]
    note = "" if report.lasting else "Without 'cache' in the site file, codes hold for one run."
    headings = [(name, False) for name in columns]
    return f'<div class="scroll">{table("Findings", headings, rows)}</div>' + (
        f'<p class="small soft">{escape(note)}</p>' if note else ""
    )


def _finding(entry: FoundIn) -> str:
    problem = entry.problem
    codes = [f"<code>{escape(code)}</code>" for code in entry.cases]
    shown = " ".join(codes[:_SHOWN]) or '<span class="keep">the site</span>'
    if len(codes) > _SHOWN:
        more = f"<summary>{len(codes) - _SHOWN} more</summary>{' '.join(codes[_SHOWN:])}"
        shown += f"<details>{more}</details>"
    row = ' class="refused"' if problem.status == FAIL else ""
    return (
        f'<tr{row}><td><span class="status {problem.status}">{problem.status}</span></td>'
        f'<th scope="row">{escape(problem.check)}</th><td>{escape(problem.message)}</td>'
        f"<td>{escape(problem.remedy)}</td><td>{shown}</td></tr>"
    )


def _cases(report: SiteReport) -> str:
    groups = Counter((_part(case), case.modality) for case in report.cases)
    good = Counter(
        (_part(case), case.modality)
        for case in report.cases
        if not (case.refused or case.quarantined)
    )
    order = {part: index for index, part in enumerate(SPLITS)}
    rows = [
        f'<tr><th scope="row">{escape(part)}</th><td>{escape(modality.upper() or "none")}</td>'
        f'<td class="n">{groups[part, modality]}</td><td class="n">{good[part, modality]}</td></tr>'
        for part, modality in sorted(groups, key=lambda key: (order.get(key[0], 9), key))
    ]
    headings = [("Part", False), ("Modality", False), ("Cases", True), ("Usable", True)]
    return f'<div class="scroll">{table("Cases by part and modality", headings, rows)}</div>'


def _part(case: CaseReport) -> str:
    return " and ".join(case.parts) or "no split"


def _intensities(report: SiteReport) -> str:
    figure = draw_intensities(report.cases)
    if figure is None:
        return ""
    caption = (
        "Each case is a thin line. A CT shows air at -1000 HU and tissue around 0; an MRI has a "
        "scale of its own per scan, so its body is drawn between its own percentiles. A line far "
        "from the others is worth a look."
    )
    return picture(figure, "Histograms of intensities per modality", caption)


def _grids(report: SiteReport, job: DataSettings | None) -> str:
    figure = draw_grids(report.cases, job.spacing if job else None)
    if figure is None:
        return ""
    stored = Counter(case.orientation for case in report.cases if case.orientation)
    kinds = ", ".join(f"{name} ({count})" for name, count in stored.most_common())
    caption = f"Each case is a point. Orientations of the stored axes: {kinds}."
    return picture(figure, "Voxel size, field of view and number of voxels per axis", caption)


def _organs(report: SiteReport) -> str:
    volumes = organ_volumes(report)
    figure = draw_volumes(volumes)
    if figure is None:
        return ""
    rows = []
    for organ, values in sorted(volumes.items()):
        ordered = sorted(values)
        middle = ordered[len(ordered) // 2]
        cells = "".join(
            f'<td class="n">{number(value, 1)}</td>' for value in (ordered[0], middle, ordered[-1])
        )
        rows.append(
            f'<tr><th scope="row">{escape(organ.replace("_", " "))}</th>'
            f'<td class="n">{len(values)}</td>{cells}</tr>'
        )
    headings = [("Organ", False), *((name, True) for name in ("Cases", "Least", "Median", "Most"))]
    caption = "Each case is a point, the bar the median; in brackets the number of cases."
    return picture(figure, "Volume of each organ in the labels", caption) + (
        f"<details><summary>The numbers</summary>"
        f'<div class="scroll">{table("Volume in ml", headings, rows)}</div></details>'
    )


def _slices(pictures: str) -> str:
    if not pictures:
        return ""
    text = (
        "One axial slice per case, where the label is largest; the patient's right is on the left. "
        "Cases with findings stand first, in an orange frame."
    )
    return f'<p class="small soft">{text}</p>\n{pictures}'
