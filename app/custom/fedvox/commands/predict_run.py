"""The run of `fedvox predict`: progress, results and failures on the terminal."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fedvox.commands.predict_plan import Task, Worklist
from fedvox.commands.text import note_untrained, visible, warn_of_phantoms

if TYPE_CHECKING:
    from fedvox.inference.predict import Options, Prediction, Predictor


@dataclass(frozen=True)
class Run:
    """How a call of the command segments, whatever scans it was given.

    Attributes:
        predictor: the model.
        options: extras.
        description: content of ``model.json``.
        as_json: prints whole records.
    """

    predictor: "Predictor"
    options: "Options"
    description: Mapping[str, Any]
    as_json: bool


def run_one(run: Run, task: Task) -> int:
    """Segments a single scan and prints its organs.

    Args:
        run: how.
        task: the scan and its files.

    Returns:
        0.

    Raises:
        ConfigError: the scan cannot be used; the message names it.
    """
    from tqdm import tqdm

    from fedvox.errors import ConfigError, DataError

    with tqdm(total=0, disable=None, bar_format="{desc} [{elapsed}]") as bar:
        try:
            record = _segment(run, task, bar.set_description_str)
        except DataError as error:
            # The terminal is the user's own; elsewhere such errors must not name a file.
            raise ConfigError(_about_scan(task, error)) from None
    _note_modalities(record)
    for note in record["notes"]:
        print(f"note: {note}", file=sys.stderr)
    _note_empty([record])
    if run.as_json:
        print(json.dumps({"output": str(task.output), **record}, indent=2))
        return 0
    warn_of_phantoms(run.description)
    if record["modality"] not in task.scans and not record["channels"]:
        print(f"modality {record['modality']}: {record['modality_reason']}")
    if record["missing"]:
        print(f"given {record['modality']}, missing {', '.join(record['missing'])}")
    for organ, found in record["organs"].items():
        print(f"{found['value']:3d}  {organ:22s} {found['ml']:10.1f} ml")
    print(task.output)
    return 0


def run_folder(run: Run, worklist: Worklist) -> int:
    """Segments the scans of a folder; those that fail are named on stderr at the end.

    Args:
        run: how.
        worklist: scans and their files.

    Returns:
        0, or 1 when a scan failed.
    """
    from tqdm import tqdm

    records: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    with tqdm(worklist.tasks, unit="scan", disable=None) as bar:
        for task in bar:
            try:
                record = _segment(run, task, bar.set_postfix_str)
                records[task.name] = {"output": str(task.output), **record}
            except Exception as error:  # whatever it is, the night's other scans go on
                failed[task.name] = _reason(error)
    for _, record in sorted({record["modality"]: record for record in records.values()}.items()):
        _note_modalities(record)
    for name, record in records.items():
        for note in record["notes"]:
            print(visible(f"note: {name}: {note}"), file=sys.stderr)
    _note_empty(list(records.values()))
    if run.as_json:
        print(
            json.dumps({"scans": records, "failed": failed, "skipped": worklist.skipped}, indent=2)
        )
    else:
        warn_of_phantoms(run.description)
        for record in records.values():
            print(record["output"])
        print(_summary(worklist, len(records), len(failed)))
    for name, reason in failed.items():
        print(visible(f"failed: {name}: {reason}"), file=sys.stderr)
    return 1 if failed else 0


def _about_scan(task: Task, error: Exception) -> str:
    """An error with the scan that it is about, as the user named it."""
    from fedvox.errors import ImageError

    if isinstance(error, ImageError):
        return f"--input {error.modality}={task.scans[error.modality]}: {error.reason}"
    return f"{', '.join(map(str, task.scans.values()))}: {error}"


def _segment(run: Run, task: Task, tell: Callable[[str], None]) -> dict[str, Any]:
    """Segments a scan and writes its files.

    Raises:
        ConfigError: they cannot be written.
    """
    from fedvox.errors import ConfigError
    from fedvox.report.prediction import describe_prediction

    prediction = run.predictor.predict(task.scans, run.options, tell)
    record = describe_prediction(prediction, run.description, run.options.largest_component)
    tell("writing the results")
    try:
        _write(task, prediction, record, run.description)
    except OSError as error:
        raise ConfigError(
            f"{task.output}: the results cannot be written ({error.strerror}); make room, or "
            "choose another place"
        ) from None
    return record


def _write(
    task: Task,
    prediction: "Prediction",
    record: Mapping[str, Any],
    description: Mapping[str, Any],
) -> None:
    """Writes a scan's files; none appears before all are whole, the labels mark it as done."""
    from fedvox.data.images.nifti import save_label
    from fedvox.files import PRIVATE, atomic_path, write_json
    from fedvox.report.prediction import draw_prediction

    with ExitStack() as stack:  # which puts the last file first in place
        files = {
            option: stack.enter_context(atomic_path(path, PRIVATE)) for option, path in task.files()
        }
        save_label(files["--output"], prediction.labels.data, prediction.labels)
        if task.preview:
            organs = list(prediction.voxels)
            draw_prediction(prediction, description, organs, files["--preview"])
        if task.report:
            write_json(files["--report"], record, PRIVATE)


def _reason(error: Exception) -> str:
    from fedvox.errors import FedVoxError

    if isinstance(error, FedVoxError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{type(error).__name__}: {error}"


def _summary(worklist: Worklist, done: int, failed: int) -> str:
    parts = [f"{done} segmented"]
    if worklist.skipped:
        parts.append(
            f"{worklist.skipped} skipped, which exist already (--force segments them again)"
        )
    if failed:
        parts.append(f"{failed} failed")
    if worklist.others:
        parts.append(f"left out as no scan: {worklist.others} of the folder's entries")
    return "; ".join(parts)


def _note_empty(records: Sequence[Mapping[str, Any]]) -> None:
    """Says on stderr where a model found nothing at all, which may be right and mostly is not."""
    empty = sum(not any(organ["voxels"] for organ in r["organs"].values()) for r in records)
    if empty:
        where = "the scan" if len(records) == 1 else f"{empty} of {len(records)} scans"
        print(
            f"note: the model found no organ in {where}; look whether modality, field of view and "
            "model are right",
            file=sys.stderr,
        )


def _note_modalities(record: Mapping[str, Any]) -> None:
    """Says on stderr what no site that trained the model held, and of what there was no scan."""
    missing, untrained = record["missing"], record["untrained"]
    note_untrained(name for name in untrained if name not in missing)
    if missing:
        never = [name for name in missing if name in untrained]
        told = f" (the model was trained without {', '.join(never)})" if never else ""
        print(
            f"note: no scan of {', '.join(missing)}{told}; the labels come from "
            f"{record['modality']} alone",
            file=sys.stderr,
        )
