"""``fedvox predict``: NIfTI in, labels on the same grid out."""

import argparse
import json
from pathlib import Path

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
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print organs, values, volumes as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segments ``args.input``.

    Returns:
        0.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: unknown modality or output name.
        DataError: the scan cannot be used.
    """
    import dataclasses
    import os

    from tqdm import tqdm

    from fedvox.training.model_file import read_model
    from fedvox.training.predict import predict_file

    trained = read_model(args.model)
    threads = max(1, args.threads or os.cpu_count() or 1)
    training = dataclasses.replace(trained.job.training, threads=threads, device="auto")
    trained = dataclasses.replace(trained, job=dataclasses.replace(trained.job, training=training))
    with tqdm(total=3, disable=None, bar_format="{desc} [{elapsed}]") as bar:

        def tell(text: str) -> None:
            bar.set_description_str(text)
            bar.update()

        volumes = predict_file(trained, args.input, args.modality, args.output, tell)
    values = {organ: index for index, organ in enumerate(volumes, start=1)}
    if args.json:
        result = {
            "output": str(args.output),
            "model_hash": trained.description["hash"],
            "phantom_model": trained.description["phantom"],
            "organs": {o: {"value": values[o], "ml": round(v, 3)} for o, v in volumes.items()},
        }
        print(json.dumps(result, indent=2))
        return 0
    if trained.description["phantom"]:
        print("This model was trained on phantom data: a test instrument, not for patients.")
    for organ, volume in volumes.items():
        print(f"{values[organ]:3d}  {organ:22s} {volume:10.1f} ml")
    print(args.output)
    return 0
