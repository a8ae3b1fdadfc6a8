"""``report.html``: one self-contained page that tells what a run did and how good its model is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.files import write_text
from fedvox.metrics.summary import summarise
from fedvox.metrics.table import MetricRow, SummaryRow, read_csv
from fedvox.report.course import rounds_table
from fedvox.report.failure import failure_banner
from fedvox.report.html import document, escape, image, section
from fedvox.report.rounds import read_rounds, training_rounds
from fedvox.report.scores import comparison, details, headline

PHANTOM_BANNER = "Phantom data: a test instrument, not evidence about patients"

_EXPECTED = {
    "metrics.csv": "per-case scores. Sites with share = summary send only their means.",
    "summary.csv": "means and intervals. The run ended before its last workflow, or no site had "
    "a test case.",
    "rounds.jsonl": "the record of each round. The run ended before its first round, or only part "
    "of the results was downloaded.",
    "progress.png": "the learning curves. They are drawn at the end of a run; 'fedvox report' "
    "draws them again.",
    "overlay_*.png": "predictions over images. Outside the simulator they stay at each site, in "
    "fedvox/site_report/ of its run folder, and are never sent.",
    "model.json": "the model's description. No round finished, or only part of the results was "
    "downloaded.",
    "model.safetensors": "the weights of the best global model. No round finished, or only part "
    "of the results was downloaded.",
    "tb": "TensorBoard events. Sites may turn metric streaming off.",
}

_METHODS = """<ul>
<li><strong>Test cases only.</strong> The best model is chosen on validation cases; the scores
above come from test cases. A site splits as its data set does, by a file of its own, or by a hash
of the patient (70% training, 10% validation, 20% test), which keeps each patient on one side.</li>
<li><strong>Interval.</strong> 95% percentile bootstrap of the mean over cases. The mean over organs
is taken in each case first. Sites that share only means enter as strata, weighted by their cases,
with mean ± 1.96 · √Σ(nᵢ·seᵢ)² / N. A single case has no interval.</li>
<li><strong>HD95</strong> is the 95th percentile of the symmetric surface distance in mm;
<strong>NSD</strong> the share of both surfaces that lies within the tolerance of the other (the
job's evaluation.nsd_tolerance_mm).</li>
<li><strong>Empty masks.</strong> Organ in neither reference nor prediction: no evidence, left out.
Organ invented: Dice and NSD 0, no HD95. Organ missed: Dice and NSD 0, HD95 is the diagonal of the
image, so that leaving an organ out cannot improve the mean.</li>
<li><strong>Organs that a site does not annotate</strong> are neither trained nor scored there.</li>
</ul>"""


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds, read; a missing file is an empty value.

    Attributes:
        folder: the run folder.
        summary: rows of ``summary.csv``, or made from ``metrics.csv`` where that is missing.
        rounds: records of ``rounds.jsonl``.
        model: content of ``model.json``.
        missing: names of :data:`_EXPECTED` that the folder lacks.
    """

    folder: Path
    summary: list[SummaryRow]
    rounds: list[dict[str, Any]]
    model: dict[str, Any]
    missing: tuple[str, ...]

    @property
    def phantom(self) -> bool:
        """Whether the run's cases are phantoms: ``model.json`` or the last round's record tells."""
        recorded = any(record.get("phantom") for record in self.rounds)
        return bool(self.model.get("phantom", False)) or recorded


def read_run(folder: Path) -> RunFiles:
    """Reads the files of a run folder that the report is made from.

    Raises:
        ConfigError: a file is there but damaged; names it and the line.
    """
    missing = tuple(name for name in _EXPECTED if not any(folder.glob(name)))
    if "summary.csv" not in missing:
        summary = read_csv(folder / "summary.csv", SummaryRow)
    elif "metrics.csv" not in missing:
        summary = summarise(read_csv(folder / "metrics.csv", MetricRow))
    else:
        summary = []
    rounds = [] if "rounds.jsonl" in missing else read_rounds(folder / "rounds.jsonl")
    model = {} if "model.json" in missing else read_json(folder / "model.json")
    return RunFiles(folder, summary, rounds, model, missing)


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
    job = str(run.model.get("job") or folder.resolve().name)
    body = "\n".join(
        (
            section("result", "Result", headline(run.summary) or _no_scores(run)),
            section("models", "Models compared", comparison(run.summary)),
            section("organs", "Every organ", details(run.summary)),
            section("curves", "Learning curves", _curves(run)),
            section("cases", "Cases", _overlays(run)),
            section("rounds", "Rounds", rounds_table(run.rounds)),
            section("model", "Model", _model(run.model)),
            section("methods", "How the numbers were made", _METHODS),
            section("missing", "What is missing", _missing(run)),
        )
    )
    path = folder / "report.html"
    write_text(path, document(f"FedVox: {job}", _header(run, job), body, _footer(run)))
    return path


def _header(run: RunFiles, job: str) -> str:
    banner = f'<p class="banner" role="note">{PHANTOM_BANNER}</p>' if run.phantom else ""
    banner += failure_banner(run.folder)
    trained = training_rounds(run.rounds)
    network = run.model.get("network")
    name = network.get("name") if isinstance(network, Mapping) else None
    facts = [
        f"{name} network" if name else "",
        ", ".join(str(m).upper() for m in run.model.get("modalities") or []),
        f"{trained} rounds" if trained > 1 else "",
    ]
    line = " · ".join(escape(fact) for fact in facts if fact)
    return (
        f'<h1>{escape(job)}</h1>\n<p class="soft">Federated segmentation run. {line}</p>\n{banner}'
    )


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
    return "<p>No test scores are in this folder; see <a href='#missing'>what is missing</a>.</p>"


def _curves(run: RunFiles) -> str:
    if "progress.png" in run.missing:
        return ""
    alternative = "Learning curves: training loss per site and validation Dice by round"
    caption = "Training loss of each site and validation Dice of the global model, round by round."
    if run.phantom:
        caption += " Phantom data."
    return image(run.folder / "progress.png", alternative, caption)


def _overlays(run: RunFiles) -> str:
    figures = []
    for path in sorted(run.folder.glob("overlay_*.png")):
        name = path.stem.removeprefix("overlay_").replace("_", " ")
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
        f"<li><code>{escape(name)}</code>: {escape(_EXPECTED[name])}</li>" for name in run.missing
    ]
    if "model.json" in run.missing:
        items.append(
            "<li>Without model.json this page cannot say whether the data are phantoms.</li>"
        )
    return "<ul>\n" + "\n".join(items) + "\n</ul>"
