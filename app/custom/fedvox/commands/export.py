"""``fedvox export``: a trained model as a MONAI bundle or as TorchScript."""

import argparse
import json

from fedvox.commands.parser import file_path, lower
from fedvox.commands.places import require_model, require_place
from fedvox.commands.text import warn_of_phantoms

_EPILOG = """\
examples:
  fedvox export --model runs/fedgin/model.safetensors --format bundle --out fedgin-bundle
  fedvox export --model runs/fedgin/model.safetensors --format torchscript --out fedgin.ts

A bundle is a folder for MONAI's tools; it names fedvox's own preprocessing, so fedvox must be
installed where it runs. TorchScript maps windows to probabilities and holds model.json.
"""
_PROGRAMS = (".ts", ".pt", ".pth")
"""How people call files of TorchScript."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``export`` to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="hand a model on as MONAI bundle or TorchScript",
        description="Writes a trained model in a form that other software reads.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=file_path, required=True, help="model.safetensors of a run")
    parser.add_argument(
        "--format", type=lower, choices=("bundle", "torchscript"), help="default bundle"
    )
    parser.add_argument(
        "--out", type=file_path, required=True, help="bundle folder or file to write"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports ``args.model``.

    Returns:
        0.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: the output exists or cannot be written.
    """
    from fedvox.errors import ConfigError

    if args.out.exists():
        raise ConfigError(f"--out {args.out}: it exists already; choose another name")
    if args.format is None and args.out.suffix in _PROGRAMS:
        raise ConfigError(
            f"--out {args.out}: a bundle is a folder; for a file of that name give --format "
            "torchscript"
        )
    form = args.format or "bundle"
    require_place("--out", args.out)
    require_model(args.model)
    # Imported here, so that a wrong path does not wait for PyTorch.
    from fedvox.inference.model_files.bundle import write_bundle
    from fedvox.inference.model_files.model_file import read_model
    from fedvox.inference.model_files.torchscript import write_torchscript

    trained = read_model(args.model)
    write = write_bundle if form == "bundle" else write_torchscript
    try:
        write(trained, args.out)
    except OSError as error:
        raise ConfigError(
            f"--out {args.out}: it cannot be written ({error.strerror}); choose another place"
        ) from None
    model_hash = trained.description["hash"]
    if args.json:
        result = {"output": str(args.out), "format": form, "model_hash": model_hash}
        print(json.dumps(result, indent=2))
        return 0
    warn_of_phantoms(trained.description)
    print(args.out)
    if form == "bundle":
        print(f"Next: {args.out / 'docs/README.md'} says how to run it")
    return 0
