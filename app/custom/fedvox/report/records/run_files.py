"""What a run folder holds, read for the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fedvox.aggregation.rounds_file import read_rounds
from fedvox.config import read_json
from fedvox.metrics.subsets import as_held
from fedvox.metrics.summary import summarise
from fedvox.metrics.table import PHANTOM_CODE, MetricRow, SummaryRow, read_csv
from fedvox.report.records.rounds import training_rounds
from fedvox.report.records.run_record import RunRecord, read_run_record

EXPECTED = {
    "metrics.csv": "per-case scores. Sites with share = summary send only their means.",
    "summary.csv": "means and intervals. The run ended before its last workflow, or no site had "
    "a test case.",
    "run.json": "date, job id, sites and numbers of cases. Older runs lack it.",
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
"""Files of a complete run folder, and why each may be missing."""


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds, read; a missing file is an empty value.

    Attributes:
        folder: the run folder.
        summary: rows of ``summary.csv``, or made from ``metrics.csv`` where that is missing.
        rounds: records of ``rounds.jsonl``.
        model: content of ``model.json``.
        record: content of ``run.json``, None where that is missing.
        missing: names of :data:`EXPECTED` that the folder lacks.
    """

    folder: Path
    summary: list[SummaryRow]
    rounds: list[dict[str, Any]]
    model: dict[str, Any]
    record: RunRecord | None
    missing: tuple[str, ...]

    @property
    def phantom(self) -> bool:
        """Whether any of the run's cases are phantoms: the model's or the last round's record
        tells, and so do the codes of the cases.

        Raises:
            ConfigError: ``metrics.csv`` is damaged.
        """
        recorded = any(record.get("phantom") for record in self.rounds)
        return bool(self.model.get("phantom", False)) or recorded or self._has_phantom_codes

    @cached_property
    def _rows(self) -> list[MetricRow]:
        """Rows of ``metrics.csv``, none where that is missing."""
        path = self.folder / "metrics.csv"
        return read_csv(path, MetricRow) if path.is_file() else []

    @property
    def _has_phantom_codes(self) -> bool:
        return any(row.case.startswith(PHANTOM_CODE) for row in self._rows)

    @property
    def last_is_best(self) -> bool:
        """Whether the model after the last round was chosen as the best: ``model.json`` tells."""
        trained = training_rounds(self.rounds)
        return trained > 0 and self.model.get("round") == trained

    @property
    def external(self) -> frozenset[str]:
        """Sites that only test, as ``run.json`` tells."""
        sites = self.record.sites if self.record else ()
        return frozenset(site.site for site in sites if site.external)

    @property
    def chosen(self) -> int | None:
        """Rounds that the chosen model has behind it, None where ``model.json`` is missing."""
        number = self.model.get("round")
        return number if isinstance(number, int) else None

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """The job's evaluation settings, empty where ``model.json`` is missing."""
        return self._settings("evaluation")

    @cached_property
    def subsets(self) -> bool:
        """Whether global models were scored on every subset of a case's modalities.

        The job's settings tell it; without them, as where ``fedvox evaluate`` wrote the tables, a
        case that was scored on several modality sets does.

        Raises:
            ConfigError: ``metrics.csv`` is damaged.
        """
        if self.model:
            return self.evaluation.get("subsets") is True
        scored = {(row.model, row.site, row.case, row.modality) for row in self._rows}
        return len({key[:3] for key in scored}) < len(scored)

    @property
    def channels(self) -> tuple[str, ...]:
        """The job's ``data.channels``; empty where it has none or ``model.json`` is missing."""
        found = self._settings("data").get("channels")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @cached_property
    def listed(self) -> list[SummaryRow]:
        """The summary as tables list it: without the subsets of what cases have."""
        return as_held(self.summary) if self.subsets else self.summary

    @property
    def encrypted(self) -> bool:
        """Whether the server averaged what it could not read, so that its model is no model."""
        return bool(self._settings("encryption"))

    @property
    def personal(self) -> tuple[str, ...]:
        """The job's ``training.personal``: what stayed at the sites; empty where nothing did."""
        found = self._settings("training").get("personal")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def _settings(self, section: str) -> Mapping[str, Any]:
        settings = self.model.get("settings")
        found = settings.get(section) if isinstance(settings, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def read_run(folder: Path) -> RunFiles:
    """Reads the files of a run folder that the report is made from.

    Raises:
        ConfigError: a file is there but damaged; names it and the line.
    """
    missing = tuple(name for name in EXPECTED if not any(folder.glob(name)))
    if "summary.csv" not in missing:
        summary = read_csv(folder / "summary.csv", SummaryRow)
    elif "metrics.csv" not in missing:
        summary = summarise(read_csv(folder / "metrics.csv", MetricRow))
    else:
        summary = []
    rounds = [] if "rounds.jsonl" in missing else read_rounds(folder / "rounds.jsonl")
    model = {} if "model.json" in missing else read_json(folder / "model.json")
    return RunFiles(folder, summary, rounds, model, read_run_record(folder), missing)
