"""``fedvox predict``: scans in, labels on the same grids out."""

import argparse

from fedvox.commands.computing import add_computing, threads_of
from fedvox.commands.parser import file_path, lower
from fedvox.commands.places import require_model
from fedvox.commands.predict_plan import (
    Task,
    is_folder_of_scans,
    plan_folder,
    plan_one,
    refuse_exposed,
)
from fedvox.commands.predict_run import run_folder, run_one
from fedvox.commands.predict_table import write_table

_DESCRIPTION = """\
Segment scans with a trained model. The labels lie on exactly the scan's grid, with its affine,
orientation and header; organ values are printed. No augmentation is ever applied.

--input is a NIfTI file, a folder with one DICOM series, or a folder of such files or folders. For
a folder of scans --output, --preview and --report are folders too, and results are called like
their scan; labels.json in --output says which value is which organ. A scan that fails is named at
the end, with exit code 1; the others go on."""

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
    parser.add_argument("--model", type=file_path, required=True, help="model.safetensors of a run")
    parser.add_argument(
        "--input",
        type=file_path,
        required=True,
        help="scan (NIfTI or DICOM series), or folder of scans",
    )
    parser.add_argument(
        "--modality",
        required=True,
        type=lower,
        help="ct or mr: decides the intensity window; auto: recognises a CT by its numbers, and "
        "asks where they leave a choice",
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
    from fedvox.errors import ConfigError

    threads = threads_of(args)
    if not args.modality:
        raise ConfigError("--modality is empty; name ct, mr or auto")
    targets = (args.output, args.preview, args.report)
    many = is_folder_of_scans(args.input)
    if many:
        plan = plan_folder(args.input, *targets, args.force)
    else:
        plan = plan_one(Task(args.input.name, args.input, *targets), args.force)
    require_model(args.model)
    # Imported here, so that a wrong option does not wait for PyTorch.
    from fedvox.inference.model_files.model_file import read_model
    from fedvox.inference.predict import Options, Predictor

    trained = read_model(args.model)
    predictor = Predictor(trained.on(args.device, threads))
    predictor.check(args.modality)
    if not trained.description.get("phantom"):
        refuse_exposed(plan)
    options = Options(args.modality, args.largest_component, args.preview is not None)
    if many:
        write_table(args.output, plan, predictor.job.data.organs, args.force)
        return run_folder(predictor, plan, options, trained.description, args.json)
    return run_one(predictor, plan.tasks[0], options, trained.description, args.json)
