"""The `fedvox` command: finds the sub-command and turns errors into one line."""

import argparse
import os
import sys
from collections.abc import Sequence

import fedvox
from fedvox.commands import job, phantom, predict, report
from fedvox.errors import FedVoxError

_EPILOG = """\
examples:
  fedvox phantom --out data --sites ct,mr --cases 8
  fedvox job show fedgin
  fedvox predict --model runs/fedgin/model.safetensors --input scan.nii.gz --modality mr \\
      --output seg.nii.gz
  fedvox report runs/fedgin

'fedvox COMMAND --help' shows each command's options and examples.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="fedvox",
        description="One 3D segmentation model across hospitals, without moving a scan.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fedvox {fedvox.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (phantom, job, predict, report):
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; exit code 0 only on success.

    Args:
        argv: arguments, default those of the process.
    """
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except FedVoxError as error:
        print(f"fedvox: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output went away; keep Python from complaining while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("fedvox: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
