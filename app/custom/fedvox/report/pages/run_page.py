"""``report.html``: one self-contained page that tells what a run did and how good its model is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedvox.files import write_text
from fedvox.metrics import other_metrics
from fedvox.metrics.metric import Metric
from fedvox.metrics.models import BEST, LAST
from fedvox.metrics.subsets import SUBSET_NOTE
from fedvox.report.pages.html import document, escape, image, section
from fedvox.report.pages.privacy import privacy_section
from fedvox.report.pages.rounds_table import rounds_table
from fedvox.report.pages.scores import comparison, details, headline, hospitals
from fedvox.report.pages.subsets import subsets_section
from fedvox.report.pages.traffic import traffic_section
from fedvox.report.pages.weights import weights_section
from fedvox.report.records.facts import (
    hd95_title,
    job_name,
    personal_note,
    run_facts,
    site_modalities,
    tolerance_note,
    untrained_note,
)
from fedvox.report.records.failure import read_failure
from fedvox.report.records.run_files import EXPECTED, RunFiles, read_run

PHANTOM_BANNER = "Phantom data: a test instrument, not evidence about patients"

_PICTURE = re.compile(rf"({BEST}|{LAST})_(.+)_(\d+)")
"""As :func:`fedvox.report.site_pictures.draw_site_pictures` calls its files."""

_EXPLAINED = ("hd95", "nsd")
"""Metrics of which the text below speaks; of others it holds what they say of themselves."""

_METHODS = """<ul>
<li><strong>Test cases only.</strong> The best model is chosen on validation cases; the scores
above come from test cases. A site splits as its data set does, by a file of its own, or by a hash
of the patient (70% training, 10% validation, 20% test), which keeps each patient on one side.</li>
<li><strong>Interval.</strong> 95% interval of the mean over cases by Student's t on the scale of
log-odds: logit m ± t(n − 1) · s / (√n · m · (1 − m)). The mean over organs is taken in each case
first. It describes the choice of test cases, not of seeds or sites, and fewer than 3 cases have
none. Sites that share only means give n, m and s, which leads to the same interval as their rows; a
site with two cases keeps s, and the spread within the other sites stands in for it.</li>
<li><strong>HD95</strong> is {hd95}, in mm (the job's evaluation.hd95). Other programs use the other
convention: compare like with like.</li>
<li><strong>NSD</strong> is the share of both surfaces that lies within the tolerance of the
other{tolerance}. Surfaces are counted in voxels of the scan: with a tolerance below every edge of
its voxels only voxels that coincide count, and NSD is then too low.{warning}</li>{further}
<li><strong>Empty masks.</strong> Organ in neither reference nor prediction: no evidence, left out.
Organ invented: Dice and NSD 0, no HD95. Organ missed: Dice and NSD 0, HD95 is the diagonal of the
image, so that leaving an organ out cannot improve the mean.</li>
<li><strong>Organs that a site does not annotate</strong> are neither trained nor scored there, so
means of sites with other organs are means of other tasks.</li>
</ul>"""


def write_report(folder: Path) -> Path:
    """Writes ``report.html`` from the other files of a run folder.

    Missing files do not stop it: the page names each and says why it may be missing.

    Args:
        folder: as ``runs/<job>/``.

    Returns:
        Path of the page.

    Raises:
        ConfigError: a file is there but damaged; names it and the line.
    """
    run = read_run(folder)
    job, last_is_best = job_name(run), run.last_is_best
    body = "\n".join(
        (
            section("result", "Result", _result(run)),
            section("hospitals", "Each hospital", _hospitals(run)),
            section("subsets", "Modality subsets", subsets_section(run))
            + section("models", "Models compared", _models(run)),
            section("organs", "Every organ", details(run.listed, hd95_title(run), last_is_best)),
            section("curves", "Learning curves", _curves(run)),
            section("weights", "Weights of the sites", weights_section(run.rounds, run.phantom)),
            section("traffic", "Bytes on the wire", traffic_section(run.rounds, run.phantom)),
            section("privacy", "Privacy", privacy_section(run.rounds)),
            section("cases", "Cases", _overlays(run)),
            section("rounds", "Rounds", rounds_table(run.rounds)),
            section("model", "Model", _model(run.model)),
            section("methods", "How the numbers were made", _methods(run)),
            section("missing", "What is missing", _missing(run)),
        )
    )
    path = folder / "report.html"
    write_text(path, document(f"FedVox: {job}", _header(run, job), body, _footer(run)))
    return path


def _header(run: RunFiles, job: str) -> str:
    banner = f'<p class="banner" role="note">{PHANTOM_BANNER}</p>' if run.phantom else ""
    banner += _failure_banner(run.folder)
    network = run.model.get("network")
    name = network.get("name") if isinstance(network, Mapping) else None
    kind = f"Federated segmentation run{f', {name} network' if name else ''}"
    lines = "<br>\n".join(escape(line) for line in (kind, *run_facts(run)))
    return f'<h1>{escape(job)}</h1>\n<p class="soft">{lines}</p>\n{banner}'


def _failure_banner(folder: Path) -> str:
    """The page's first words about a run that failed; nothing for one that did not."""
    failure = read_failure(folder)
    if failure is None:
        return ""
    text = failure.text[0].upper() + failure.text[1:]
    return f'<p class="banner" role="alert">{escape(text)}</p>'


def _result(run: RunFiles) -> str:
    content = headline(run.listed, run.last_is_best) or _no_scores(run)
    notes = (personal_note(run), untrained_note(run), tolerance_note(run))
    return content + "".join(
        f'\n<p class="small"><strong>Note.</strong> {escape(note)}.</p>' for note in notes if note
    )


def _hospitals(run: RunFiles) -> str:
    if not run.summary:
        return ""
    table = hospitals(run.listed, site_modalities(run), run.last_is_best, run.external)
    return table or "<p>This summary.csv is of an older version and holds no result per site.</p>"


def _models(run: RunFiles) -> str:
    content = comparison(run.listed, run.last_is_best)
    note = f"{SUBSET_NOTE[0].upper()}{SUBSET_NOTE[1:]}."
    return content + f'<p class="soft small">{escape(note)}</p>' * (run.subsets and bool(content))


def _methods(run: RunFiles) -> str:
    tolerance = run.evaluation.get("nsd_tolerance_mm")
    note = tolerance_note(run)
    return _METHODS.format(
        hd95=escape(hd95_title(run)),
        tolerance=f" (here {escape(tolerance)} mm, the job's evaluation.nsd_tolerance_mm)"
        if tolerance is not None
        else "",
        further="".join(
            f"\n{_explained(metric)}" for name, metric in other_metrics() if name not in _EXPLAINED
        ),
        warning=f" <strong>{escape(note)}.</strong>" if note else "",
    )


def _explained(metric: Metric) -> str:
    meaning = escape(metric.meaning.replace("``", ""))
    better = metric.better.capitalize()
    return f"<li><strong>{escape(metric.heading)}</strong>: {meaning} {better} is better.</li>"


def _footer(run: RunFiles) -> str:
    version = run.model.get("fedvox_version")
    maker = f"FedVox {escape(version)}" if version else "FedVox"
    return f"Made by {maker} from the files of the run. Not a medical device."


def _no_scores(run: RunFiles) -> str:
    if any(record.get("evaluated") is False for record in run.rounds):
        return (
            "<p><strong>Not evaluated.</strong> The run ended before its evaluation, or has not "
            "reached its end. The model beside this page was chosen on validation cases of the "
            "rounds; nothing is known of it on test cases.</p>"
        )
    if "summary.csv" not in run.missing:
        return "<p>No site has a test case with an organ of the job.</p>"
    return "<p>No test scores are in this folder; see <a href='#missing'>what is missing</a>.</p>"


def _curves(run: RunFiles) -> str:
    if "progress.png" in run.missing:
        return ""
    alternative = "Learning curves: training loss per site and validation Dice by round"
    caption = "Training loss of each site and validation Dice of the global model, round by round."
    if run.phantom:
        caption += " Phantom data."
    return image(run.folder / "progress.png", alternative, caption)


def _picture_name(stem: str) -> str:
    """Model, site and number of a picture; names of sites may hold ``_`` too."""
    found = _PICTURE.fullmatch(stem)
    return "{}, {}, picture {}".format(*found.groups()) if found else stem


def _overlays(run: RunFiles) -> str:
    figures = []
    for path in sorted(run.folder.glob("overlay_*.png")):
        name = _picture_name(path.stem.removeprefix("overlay_"))
        caption = (
            f"{name}: prediction filled, reference outlined; the patient's right is on the left."
        )
        if run.phantom:
            caption += " Phantom data."
        alternative = f"Axial, coronal and sagittal slice of {name} with segmented organs"
        figures.append(image(path, alternative, caption))
    return "\n".join(figures)


def _model(model: Mapping[str, Any]) -> str:
    """The description in ``model.json`` as a list of names and values."""
    if not model:
        return ""
    titles = {"fedvox_version": "FedVox version", "round": "from round", "hash": "hash"}
    items = []
    for key, value in model.items():
        text = f"<code>{escape(value)}</code>" if key == "hash" else _value(value)
        items.append(f"<dt>{escape(titles.get(key, key.replace('_', ' ')))}</dt><dd>{text}</dd>")
    return "<dl>\n" + "\n".join(items) + "\n</dl>"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(
            f"{escape(str(k).replace('_', ' '))}: {_value(v)}" for k, v in value.items()
        )
    if isinstance(value, list):
        return escape(", ".join(str(item).replace("_", " ") for item in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else escape(value)


def _missing(run: RunFiles) -> str:
    if not run.missing:
        return "<p>Nothing: the run folder is complete.</p>"
    items = [
        f"<li><code>{escape(name)}</code>: {escape(EXPECTED[name])}</li>" for name in run.missing
    ]
    if "model.json" in run.missing:
        items.append(
            "<li>Without model.json this page cannot say whether the data are phantoms.</li>"
        )
    return "<ul>\n" + "\n".join(items) + "\n</ul>"
