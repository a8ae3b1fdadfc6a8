"""``fedvox predict``: scans in, labels on the same grids out."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedvox.commands.predict_plan import Plan, Task, is_folder_of_scans, plan_folder, plan_one
from fedvox.commands.text import visible

if TYPE_CHECKING:
    from fedvox.training.predict import Options, Predictor

_DESCRIPTION = """\
Segment scans with a trained model. The labels lie on exactly the scan's grid, with its affine,
orientation and header; organ values are printed. No augmentation is ever applied.

--input is a NIfTI file, a folder with one DICOM series, or a folder of such files or folders. For
a folder of scans --output, --preview and --report are folders too, and results are called like
their scan. A scan that fails is named at the end, with exit code 1; the others go on."""

_EPILOG = """\
examples:
  fedvox predict --model runs/fedgin/model.safetensors --input scan.nii.gz --modality mr \\
      --output seg.nii.gz
  fedvox predict --model model.safetensors --input dicom/series7 --modality auto \\
      --output seg.nii.gz --preview seg.png --report seg.json
  fedvox predict --model model.safetensors --input scans --modality ct --output segmentations \\
      --largest-component
  fedvox predict --model model.safetensors --input ct.nii.gz --modality ct --output seg.nii.gz \\
      --json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``predict`` to the command line."""
    parser = subparsers.add_parser(
        "predict",
        help="segment scans with a trained model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a run")
    parser.add_argument(
        "--input", type=Path, required=True, help="scan (NIfTI or DICOM series), or folder of scans"
    )
    parser.add_argument(
        "--modality",
        required=True,
        help="ct or mr: decides the intensity window; auto: recognises a CT by its numbers, and "
        "asks where they leave a choice",
    )
    parser.add_argument("--output", type=Path, required=True, help="NIfTI labels to write")
    parser.add_argument("--preview", type=Path, help="PNG to write: three slices with the organs")
    parser.add_argument(
        "--report", type=Path, help="JSON to write: volumes, model, versions, modality, geometry"
    )
    parser.add_argument(
        "--largest-component",
        action="store_true",
        help="keep only the largest connected piece of each organ",
    )
    parser.add_argument("--force", action="store_true", help="replace outputs that exist already")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if usable"
    )
    parser.add_argument("--json", action="store_true", help="print organs, values, volumes as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segments what ``args.input`` names.

    Returns:
        0, or 1 when a scan of a folder failed.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: an option is wrong, a file exists or cannot be written, or the one scan cannot
            be used.
    """
    from fedvox.errors import ConfigError
    from fedvox.training.model_file import read_model
    from fedvox.training.predict import Options, Predictor

    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads is {args.threads}; it must be at least 1")
    targets = (args.output, args.preview, args.report)
    many = is_folder_of_scans(args.input)
    if many:
        plan = plan_folder(args.input, *targets, args.force)
    else:
        plan = plan_one(Task(args.input.name, args.input, *targets), args.force)
    trained = read_model(args.model)
    predictor = Predictor(trained.on(args.device, args.threads or os.cpu_count() or 1))
    predictor.check(args.modality)
    options = Options(args.modality, args.largest_component, args.preview is not None)
    if many:
        return _run_folder(predictor, plan, options, trained.description, args.json)
    return _run_one(predictor, plan.tasks[0], options, trained.description, args.json)


def _run_one(
    predictor: "Predictor",
    task: Task,
    options: "Options",
    description: Mapping[str, Any],
    as_json: bool,
) -> int:
    from tqdm import tqdm

    from fedvox.errors import ConfigError, DataError

    with tqdm(total=0, disable=None, bar_format="{desc} [{elapsed}]") as bar:
        try:
            record = _segment(predictor, task, options, description, bar.set_description_str)
        except DataError as error:
            # The terminal is the user's own; elsewhere such errors must not name a file.
            raise ConfigError(f"{task.scan}: {error}") from None
    _note_modality(description, record["modality"])
    if as_json:
        print(json.dumps({"output": str(task.output), **record}, indent=2))
        return 0
    _warn_of_phantoms(description)
    if options.modality != record["modality"]:
        print(f"modality {record['modality']}: {record['modality_reason']}")
    for organ, found in record["organs"].items():
        print(f"{found['value']:3d}  {organ:22s} {found['ml']:10.1f} ml")
    print(task.output)
    return 0


def _run_folder(
    predictor: "Predictor",
    plan: Plan,
    options: "Options",
    description: Mapping[str, Any],
    as_json: bool,
) -> int:
    from tqdm import tqdm

    records: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    with tqdm(plan.tasks, unit="scan", disable=None) as bar:
        for task in bar:
            tell: Callable[[str], None] = bar.set_postfix_str
            try:
                record = _segment(predictor, task, options, description, tell)
                records[task.name] = {"output": str(task.output), **record}
            except Exception as error:  # whatever it is, the night's other scans go on
                failed[task.name] = _reason(error)
    for modality in sorted({record["modality"] for record in records.values()}):
        _note_modality(description, modality)
    if as_json:
        print(json.dumps({"scans": records, "failed": failed, "skipped": plan.skipped}, indent=2))
    else:
        _warn_of_phantoms(description)
        for record in records.values():
            print(record["output"])
        print(_summary(plan, len(records), len(failed)))
    for name, reason in failed.items():
        print(visible(f"failed: {name}: {reason}"), file=sys.stderr)
    return 1 if failed else 0


def _segment(
    predictor: "Predictor",
    task: Task,
    options: "Options",
    description: Mapping[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Segments a scan and writes its files; the labels last, as they mark a scan as done."""
    from fedvox.data.nifti import save_label
    from fedvox.files import write_json
    from fedvox.report.prediction import describe_prediction, draw_prediction

    prediction = predictor.predict(task.scan, options, tell)
    record = describe_prediction(prediction, description, options.largest_component)
    tell("writing the results")
    if task.preview:
        draw_prediction(prediction, description, list(prediction.voxels), task.preview)
    if task.report:
        write_json(task.report, record)
    save_label(task.output, prediction.labels.data, prediction.labels)
    return record


def _reason(error: Exception) -> str:
    from fedvox.errors import FedVoxError

    if isinstance(error, FedVoxError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{type(error).__name__}: {error}"


def _summary(plan: Plan, done: int, failed: int) -> str:
    parts = [f"{done} segmented"]
    if plan.skipped:
        parts.append(f"{plan.skipped} skipped, which exist already (--force segments them again)")
    if failed:
        parts.append(f"{failed} failed")
    if plan.others:
        parts.append(f"left out as no scan: {plan.others} of the folder's entries")
    return "; ".join(parts)


def _warn_of_phantoms(description: Mapping[str, Any]) -> None:
    if description.get("phantom"):
        print("This model was trained on phantom data: a test instrument, not for patients.")


def _note_modality(description: Mapping[str, Any], modality: str) -> None:
    """Says on stderr when no site that trained the model held the scan's modality."""
    sets = description.get("modalities")
    if not isinstance(sets, list) or not sets:
        return
    if modality not in {name for entry in sets for name in str(entry).split("+")}:
        print(f"note: no site of this modality trained the model: {modality}", file=sys.stderr)
