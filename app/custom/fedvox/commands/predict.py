"""``fedvox predict``: scans in, labels on the same grids out."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fedvox.commands.computing import add_computing, threads_of
from fedvox.commands.parser import file_path, lower
from fedvox.commands.places import require_model
from fedvox.commands.predict_plan import (
    Task,
    Worklist,
    is_folder_of_scans,
    plan_folder,
    plan_one,
    refuse_exposed,
)
from fedvox.commands.predict_run import Run, run_folder, run_one
from fedvox.commands.predict_table import write_table

if TYPE_CHECKING:
    from fedvox.data.settings import DataSettings

_DESCRIPTION = """\
Segment scans with a trained model. The labels lie on exactly the scan's grid, with its affine,
orientation and header; organ values are printed. No augmentation is ever applied.

--input is a NIfTI file, a folder with one DICOM series, or a folder of such files or folders. For
a folder of scans --output, --preview and --report are folders too, and results are called like
their scan; labels.json in --output says which value is which organ. A scan that fails is named at
the end, with exit code 1; the others go on.

A model with channels takes one scan per channel, each under its name, in any order and all on one
grid; labels lie on the grid of the first of the model's channels that is given. A model whose job
says "data.missing_channels" takes any of its channels, at least one; what is missing is noted."""

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
  fedvox predict --model brats.safetensors --input t1=t1.nii.gz --input t1ce=t1ce.nii.gz \\
      --input t2=t2.nii.gz --input flair=flair.nii.gz --output seg.nii.gz
  fedvox predict --model mixmfl.safetensors --input t1=t1.nii.gz --input flair=flair.nii.gz \\
      --output seg.nii.gz --report seg.json
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
    parser.add_argument("--model", type=file_path, required=True, help="model.safetensors of a run")
    parser.add_argument(
        "--input",
        type=scan_input,
        action="append",
        metavar="[CHANNEL=]SCAN",
        required=True,
        help="scan (NIfTI or DICOM series), or folder of scans; for a model with channels once per "
        "channel that the case has, as in t1=t1.nii.gz",
    )
    parser.add_argument(
        "--modality",
        type=lower,
        help="ct or mr: decides the intensity window; auto: recognises a CT by its numbers, and "
        "asks where they leave a choice; not needed where --input names it",
    )
    parser.add_argument("--output", type=file_path, required=True, help="NIfTI labels to write")
    parser.add_argument(
        "--preview", type=file_path, help="PNG to write: three slices with the organs"
    )
    parser.add_argument(
        "--report",
        type=file_path,
        help="JSON to write: volumes, model, versions, modality, geometry",
    )
    parser.add_argument(
        "--largest-component",
        action="store_true",
        help="keep only the largest connected piece of each organ",
    )
    parser.add_argument("--force", action="store_true", help="replace outputs that exist already")
    add_computing(parser)
    parser.add_argument("--json", action="store_true", help="print organs, values, volumes as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segments what ``args.input`` names.

    Returns:
        0, or 1 when a scan of a folder failed.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: an option is wrong, a file exists, cannot be written or would show patients
            where git commits it, or the one scan cannot be used.
    """
    threads, scans = threads_of(args), _scans(args.input, args.modality)
    first = next(iter(scans.values()))
    many = len(scans) == 1 and is_folder_of_scans(first)
    if many:
        plan = _plan_folder(args, first, next(iter(scans)))
    else:
        files = (args.output, args.preview, args.report)
        plan = plan_one(Task(first.name, scans, *files), args.force)
    require_model(args.model)
    # Imported here, so that a wrong option does not wait for PyTorch.
    from fedvox.inference.model_files.model_file import read_model
    from fedvox.inference.predict import Options, Predictor

    trained = read_model(args.model)
    predictor = Predictor(trained.on(args.device, threads))
    if many:
        _refuse_folder(first, predictor.job.data)
    predictor.check(scans)
    if not trained.description.get("phantom"):
        refuse_exposed(plan)
    options = Options(args.largest_component, args.preview is not None)
    own = Run(predictor, options, trained.description, args.json)
    if many:
        write_table(args.output, plan, predictor.job.data.organs, args.force)
        return run_folder(own, plan)
    return run_one(own, plan.tasks[0])


def scan_input(text: str) -> tuple[str, Path]:
    """``t1=scan.nii.gz`` as channel and path; the channel is empty where none is named.

    Raises:
        ArgumentTypeError: as for any path.
    """
    name, sign, rest = text.partition("=")
    if sign and name.strip().isalnum() and not Path(text).exists():
        return lower(name), file_path(rest)
    return "", file_path(text)


def _scans(inputs: Sequence[tuple[str, Path]], modality: str | None) -> dict[str, Path]:
    """Modality, empty where nobody named it, -> scan."""
    from fedvox.errors import ConfigError

    if modality == "":
        raise ConfigError("--modality is empty; name ct, mr or auto")
    names = [name for name, _ in inputs]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"--input {twice}=... is given twice; name one scan per channel")
    if len(names) > 1 and "" in names:
        raise ConfigError(
            "--input: of several scans each needs its channel's name, as in --input t1=t1.nii.gz "
            "--input flair=flair.nii.gz; name them, or give one scan or folder"
        )
    if modality and names != [""]:
        raise ConfigError("--modality: each --input names its own already; leave --modality out")
    return {name or modality or "": path for name, path in inputs}


def _plan_folder(args: argparse.Namespace, folder: Path, modality: str) -> Worklist:
    """The plan for a folder of scans; what is wrong with it matters only to a model that takes one.

    Raises:
        ConfigError: see :func:`plan_folder`; the model takes several scans per case.
    """
    from fedvox.errors import ConfigError, ModelError

    try:
        return plan_folder(
            folder, modality, args.output, args.preview, args.report, force=args.force
        )
    except ConfigError:
        if args.model.is_file():
            from fedvox.inference.model_files.model_file import read_model

            with suppress(ModelError):
                _refuse_folder(folder, read_model(args.model).job.data)
        raise


def _refuse_folder(folder: Path, data: "DataSettings") -> None:
    """Refuses a folder of scans for a model with channels: nothing says which scans are one case.

    Raises:
        ConfigError: with the way to name the scans of one case.
    """
    from fedvox.errors import ConfigError
    from fedvox.inference.scan_channels import channels_form

    if data.channels:
        most = "up to " if data.missing_channels else ""
        raise ConfigError(
            f"--input {folder}: a folder of scans is for models of one image per case, this one "
            f"takes {most}{len(data.channels)}; call it once per case with {channels_form(data)}"
        )
