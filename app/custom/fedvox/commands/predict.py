"""``fedvox predict``: NIfTI in, labels on the same grid out."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Segment a scan with a trained model. The labels lie on exactly the scan's grid, with its affine,
orientation and header; organ values are printed. No augmentation is ever applied."""

_EPILOG = """\
examples:
  fedvox predict --model runs/fedgin/model.safetensors --input scan.nii.gz --modality mr \\
      --output seg.nii.gz
  fedvox predict --model model.safetensors --input ct.nii.gz --modality ct --output seg.nii.gz \\
      --json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``predict`` to the command line."""
    parser = subparsers.add_parser(
        "predict",
        help="segment a NIfTI scan with a trained model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a run")
    parser.add_argument("--input", type=Path, required=True, help="NIfTI scan")
    parser.add_argument("--modality", required=True, help="ct or mr: decides the intensity window")
    parser.add_argument("--output", type=Path, required=True, help="NIfTI labels to write")
    parser.add_argument(
        "--force", action="store_true", help="replace an output that exists already"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print organs, values, volumes as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segments ``args.input``.

    Returns:
        0.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: an option is wrong, the output exists or cannot be written, or the scan cannot
            be used.
    """
    import dataclasses

    from tqdm import tqdm

    from fedvox.errors import ConfigError, DataError
    from fedvox.training.model_file import read_model
    from fedvox.training.predict import predict_file

    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads is {args.threads}; it must be at least 1")
    check_output(args.input, args.output, args.force)
    trained = read_model(args.model)
    phantom = bool(trained.description.get("phantom"))
    threads = args.threads or os.cpu_count() or 1
    training = dataclasses.replace(trained.job.training, threads=threads, device="auto")
    trained = dataclasses.replace(trained, job=dataclasses.replace(trained.job, training=training))
    with tqdm(total=3, disable=None, bar_format="{desc} [{elapsed}]") as bar:

        def tell(text: str) -> None:
            bar.set_description_str(text)
            bar.update()

        try:
            volumes = predict_file(trained, args.input, args.modality, args.output, tell)
        except DataError as error:
            # The terminal is the user's own; elsewhere such errors must not name a file.
            raise ConfigError(f"{args.input}: {error}") from None
    _note_modality(trained.description, args.modality)
    values = {organ: index for index, organ in enumerate(volumes, start=1)}
    if args.json:
        result = {
            "output": str(args.output),
            "model_hash": trained.description["hash"],
            "phantom_model": phantom,
            "organs": {o: {"value": values[o], "ml": round(v, 3)} for o, v in volumes.items()},
        }
        print(json.dumps(result, indent=2))
        return 0
    if phantom:
        print("This model was trained on phantom data: a test instrument, not for patients.")
    for organ, volume in volumes.items():
        print(f"{values[organ]:3d}  {organ:22s} {volume:10.1f} ml")
    print(args.output)
    return 0


def check_output(scan: Path, output: Path, force: bool) -> None:
    """Refuses an output that cannot be written or would destroy something, before any work.

    Args:
        scan: the input, never replaced.
        output: the file to write.
        force: allows an existing output.

    Raises:
        ConfigError: the output is the input, exists, is a folder, or lies where none can be made.
    """
    from fedvox.errors import ConfigError

    if output.is_dir():
        raise ConfigError(f"--output {output}: it is a folder; name a file in it")
    if output.exists():
        if scan.exists() and output.samefile(scan):
            raise ConfigError(f"--output {output}: it is the scan itself; choose another name")
        if not force:
            raise ConfigError(
                f"--output {output}: it exists already; choose another name or give --force"
            )
    folder = output.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"--output {output}: {folder} is a file, not a folder; choose another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--output {output}: {folder} cannot be written; choose another folder")


def _note_modality(description: Mapping[str, Any], modality: str) -> None:
    """Says on stderr when no site that trained the model held the scan's modality."""
    sets = description.get("modalities")
    if not isinstance(sets, list) or not sets:
        return
    if modality not in {name for entry in sets for name in str(entry).split("+")}:
        print("note: no site of this modality trained the model", file=sys.stderr)
